"""What the log and the sinks share of files: SQLite's errors in words, and files held by one at a time."""
