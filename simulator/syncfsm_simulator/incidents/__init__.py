"""From a log to a scenario: what happened to one process, made to happen again."""
