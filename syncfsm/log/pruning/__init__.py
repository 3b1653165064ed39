"""Pruning: which processes a log can do without, and what stands for them."""
