"""The page rule: which rows to ask for, and which of those that came to take. It knows no process."""
