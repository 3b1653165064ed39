"""Runs: one seed or many, judged by invariants, and shrunk where one fails."""
