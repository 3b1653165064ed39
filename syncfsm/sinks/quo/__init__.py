"""Quo (formerly OpenPhone): people as the contacts of a Quo workspace.

`sink` is the sink; `delivery` brings one page into Quo; `mapping` says what of a person Quo can take,
`phones` what a phone number is; `wire` has the shapes that travel, `api` the requests, `in_flight` how many
of them at once.
"""
