"""The PostgreSQL log: the contract, and what is particular to a server that many share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncfsm.log import EventLog, open_log
from tests.contracts.event_log import EventLogContract


class TestPostgres(EventLogContract):
    @pytest.fixture
    def log(self, postgres_url: str) -> Iterator[EventLog]:
        with open_log(postgres_url) as log:
            yield log
