"""The sink for a table of contacts in PostgreSQL: `sink` has it, and each file beside it knows one thing."""
