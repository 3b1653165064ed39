"""What the log and the sink share of PostgreSQL: its address, its connection, its errors in words.

Nothing here is loaded where PostgreSQL is not used: psycopg is an extra, and `driver` says so where it is
missing.
"""
