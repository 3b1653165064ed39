"""The rules, all pure: what can happen, what state it leaves, what to do next, and what came of it."""
