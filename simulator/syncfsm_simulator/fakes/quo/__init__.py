"""The fake Quo: contacts as API v1 keeps them.

`contacts` is what it keeps, `bodies` what it accepts, `app` the ASGI app that answers. The network before it,
where things go wrong by the seed, is stage/quo_faults.py.
"""
