"""What is left of a damaged log, read from its bytes without SQLite."""
