"""The rules, all pure: what can happen, what state it leaves, what to do next, what came of it. No I/O, no time, no chance."""
