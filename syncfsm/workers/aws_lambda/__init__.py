"""AWS Lambda and SQS: a function takes slices of syncs off a queue, a watchdog on a schedule sends for them.

`handler` and `watchdog` are named to Lambda as they are, and read the settings file and the environment;
`make_handler` and `make_watchdog` are for functions of your own. docs/lambda.md has the rest.
"""

from __future__ import annotations

from syncfsm.workers.aws_lambda.configured import handler, watchdog
from syncfsm.workers.aws_lambda.records import make_handler
from syncfsm.workers.aws_lambda.sending import make_watchdog

__all__ = ["handler", "make_handler", "make_watchdog", "watchdog"]
