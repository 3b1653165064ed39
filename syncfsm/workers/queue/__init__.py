"""Workers on many machines: Procrastinate, a job queue in PostgreSQL, beside the log in the same database.

A job is a *slice* of one sync: as many pages as fit a few seconds. The job that goes on is deferred in the
very transaction that appends the last event of the slice, so that there is no event without its job, and no
job without its event. What an account's key allows is kept outside of jobs: its turn is a lock of a session,
which a worker that dies gives back by dying.
"""
