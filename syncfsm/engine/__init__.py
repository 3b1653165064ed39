"""The loop, and all that begins, drives, watches and repeats it."""
