"""Attio: its records, its people, and what was captured of it."""
