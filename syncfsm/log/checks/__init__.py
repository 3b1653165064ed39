"""Is a log what was written, and does it follow the rules? Findings, in words."""
