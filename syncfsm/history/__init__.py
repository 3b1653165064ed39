"""What the log tells: the state at any version, what changed, what was rejected, what is missing."""
