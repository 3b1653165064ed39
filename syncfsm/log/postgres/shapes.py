"""Is a PostgreSQL log built as its migrations build one? Its guards and its indexes are looked at."""

from __future__ import annotations

from collections.abc import Iterator

from syncfsm.log.postgres.schema import FUNCTIONS, INDEXES, TRIGGERS, TRUSTED
from syncfsm.log.postgres.session import Session

_TRIGGERS = """
    SELECT tgname::text, tgenabled::text FROM pg_trigger
    WHERE tgrelid = {events}::regclass AND NOT tgisinternal
"""
_INDEXES = """
    SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relnamespace = %s::regnamespace AND i.indisvalid AND i.indisready
"""
_FUNCTIONS = "SELECT proname::text, prosrc FROM pg_proc WHERE pronamespace = %s::regnamespace"


def differences(session: Session) -> Iterator[str]:
    """Yield how a log is not built as syncfsm builds it."""
    triggers: dict[str, str] = dict(session.all(_TRIGGERS))
    for name, enabled in TRIGGERS.items():
        if name not in triggers:
            yield f"the trigger {name} is missing"
        elif triggers[name] not in {enabled, "A"}:
            yield f"the trigger {name} is switched off"
    for name in triggers.keys() - TRIGGERS.keys():
        yield f"the trigger {name} was added: syncfsm makes none"
    indexes = {name for (name,) in session.all(_INDEXES, (session.quoted,))}
    yield from (f"the index {name} is missing, or not valid" for name in INDEXES if name not in indexes)
    bodies: dict[str, str] = dict(session.all(_FUNCTIONS, (session.quoted,)))
    for name, definition in FUNCTIONS.items():
        made = session.script(definition).decode().split(TRUSTED)[1]
        if bodies.get(name) != made:
            yield f"the function {name} is {'missing' if name not in bodies else 'not as syncfsm makes it'}"
