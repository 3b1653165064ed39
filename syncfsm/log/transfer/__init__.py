"""A log as lines of JSON, out and in again, redacted if need be."""
