"""Redaction: a log that can be shown to others, and still verifies, imports and replays to the same states.

Ids, sort keys and names become pseudonyms, the same for the same id everywhere, made with a key that is drawn
for one export and kept nowhere; texts go. Counts, times, offsets and limits stay. The table says what becomes
of each field that can hold text; there is no default, so that a new field is decided about, not let through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import FailureKind
from syncfsm.core.options import Options
from syncfsm.core.outcomes import add_to_digest
from syncfsm.core.paging.place import FrontierMark, Reject, ToldGone
from syncfsm.core.process import Process, apply
from syncfsm.core.pruning import Deeds, Gone, Pruning
from syncfsm.core.source_name import SourceName
from syncfsm.core.totals import Totals
from syncfsm.core.value import Value
from syncfsm.log.codec import from_row, to_rows
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning.rows import to_row

KEY_BYTES = 32

_KINDS = frozenset({"attio", "axiscare", "jsonl", "postgresql", "quo", "sqlite"})
_OBJECTS = frozenset({"companies", "deals", "people", "users", "workspaces"})  # those of every workspace
_CAUSES = frozenset(kind.value for kind in FailureKind)
_REASONS = _CAUSES | {"cursor_repeats", "ties", "unasked", "unordered"} | set(Options.__struct_fields__)
_PRUNERS = frozenset({"cli", "code", "run", "watch", "worker"})
_ACTORS = frozenset({"cli", "engine"})
_FOUND = frozenset({"object", "sink", "sink_id", "sink_state", "token_level", "workspace", "workspace_id"})


class Pseudonyms:
    """Words for words: the same one for the same one, and no way back without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, kind: str, text: str) -> str:
        """Return what stands for a text of a kind; nothing stands for nothing."""
        if not text:
            return ""
        content = msgspec.json.encode([kind, text])
        return f"{kind}-{blake2b(content, key=self._key, digest_size=10).hexdigest()}"


Redactor: TypeAlias = Callable[[Pseudonyms, str], str]


def keep(_pseudonyms: Pseudonyms, text: str) -> str:
    """Keep a word that is one of a few of our own: for fields of a Literal type only."""
    return text


def _pseudonym(kind: str) -> Redactor:
    return lambda pseudonyms, text: pseudonyms(kind, text)


def _known(words: frozenset[str], kind: str) -> Redactor:
    """Keep the words that syncfsm itself writes; any other could say anything."""
    return lambda pseudonyms, text: text if text in words else pseudonyms(kind, text)


def _name(pseudonyms: Pseudonyms, text: str) -> str:
    """Keep the kind of a source or a sink, `attio` of `attio:https://…`; an account gets a pseudonym."""
    named = SourceName.of(text)
    kind = named.kind if named.kind in _KINDS else "other"
    account = pseudonyms("account", named.account)
    return str(SourceName(kind=kind, account=account, where=pseudonyms("name", text)))


def _number(_pseudonyms: Pseudonyms, number: Any) -> Any:
    """Keep a number; what it counts becomes a pseudonym, since a sink says it in words of its own."""
    return number


def _computed(_pseudonyms: Pseudonyms, _text: str) -> str:
    """Leave room for a digest of the pseudonyms."""
    return ""


_process = _pseudonym("process")
_record = _pseudonym("record")
_sort_key = _pseudonym("key")
_text = _pseudonym("redacted")
_cause = _known(_CAUSES, "redacted")
_tokens = dict.fromkeys(("token", "next_token"), _pseudonym("cursor"))
_reason = _known(_REASONS, "redacted")
_actor = _known(_ACTORS, "redacted")

TABLE: dict[type[Value], dict[str, Redactor]] = {
    Gone: {"id": _process},
    Deeds: {"by": _known(_PRUNERS, "redacted"), "archive": _pseudonym("file"), "ends": _computed},
    Pruning: {
        "source": _name,
        "object": _known(_OBJECTS, "object"),
        "sink": _name,
        "mode": keep,
        "changed_by": _pseudonym("attribute"),
    },
    Options: {"pagination": keep, "termination": keep},
    FrontierMark: {"key": _sort_key, "ids": _record},
    Reject: {"record_id": _record, "reason": _text},
    ToldGone: {"record_id": _record, "into": _record},
    Totals: {},
    e.SyncStarted: {
        "source": _name,
        "object": _known(_OBJECTS, "object"),
        "sink": _name,
        "mode": keep,
        "order": keep,
        "parent": _process,
        "record_ids": _record,
        "changed_by": _pseudonym("attribute"),
    },
    e.FetchingBegan: {"found": _text},
    e.NothingNewFound: {},
    e.PageFetched: {
        "record_ids": _record,
        "peek": _record,
        "ids_digest": _computed,
        "gone": _record,
        "absent": _record,
        "confirmed": _record,
        "from_key": _sort_key,
        **_tokens,
    },
    Blanking: {"had": _number, "blanked": _number},
    e.MissingFound: {"record_ids": _record, "kept": _text},
    e.PageDelivered: {"left_out": _number},
    e.RecordRejected: {"record_id": _record, "reason": _text},
    e.RetryScheduled: {"action": keep, "cause": _cause, "error": _text, "what": keep},
    e.PagesShifted: {"expected": _record, "found": _record},
    e.SyncCompleted: {"digest": _computed, "kept": _text},
    e.SyncFailed: {"action": keep, "reason": _reason, "error": _text, "what": keep},
    e.SyncCancelled: {"by": _actor, "why": _text},
    e.SyncResumed: {"by": _actor, "why": _text, "to": keep},
}
"""What becomes of each field that can hold text; of a tuple or a dict, what becomes of each text in it."""

_found_key = _known(_FOUND, "found")


@dataclass
class _Stream:
    """The redacted process so far, and the digest of its last event."""

    process: Process | None = None
    digest: str = ""


class Redaction:
    """Redacts the events of one export.

    Args:
        key: `KEY_BYTES` random bytes, for this export alone, kept nowhere.
    """

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES, "a key that can be guessed lets pseudonyms be guessed"
        self._pseudonyms = Pseudonyms(key)
        self._streams: dict[str, _Stream] = {}

    def redacted(self, row: StoredEvent) -> StoredEvent:
        """Return a sound event without what it says of people and workspaces, chained anew.

        The events of a process have to come in order, from its first.
        """
        recorded = from_row(row)
        stream = self._streams.setdefault(row.stream, _Stream())
        event = _with_digests(_struct(self._pseudonyms, recorded.event), stream.process)
        record = e.Recorded(
            stream=self.process_id(row.stream), version=recorded.version, at=recorded.at, event=event
        )
        (redacted,) = to_rows([record], stream.digest)
        stream.process, stream.digest = apply(stream.process, record), redacted.digest
        return replace(redacted, position=row.position)

    def prunings(self, prunings: Sequence[StoredPruning]) -> list[StoredPruning]:
        """Return what was pruned without what it says of workspaces and files, chained anew."""
        found: list[StoredPruning] = []
        for pruning, _ in prunings:
            told = _struct(self._pseudonyms, pruning)
            found.append(StoredPruning(told, to_row(told, found[-1].digest if found else "")[-1]))
        return found

    def process_id(self, process_id: str) -> str:
        """Return what a process is called in this export."""
        return _process(self._pseudonyms, process_id)


def _with_digests(event: e.Event, process: Process | None) -> e.Event:
    """Return the event with the digest of the pseudonyms, computed as `decide` does it of ids."""
    before = process.progress.ids_digest if process else ""
    match event:
        case e.PageFetched():
            return replace(event, ids_digest=add_to_digest(before, event.record_ids))
        case e.SyncCompleted():
            return replace(event, digest=before)
        case (
            e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
            | e.MissingFound() | e.PageDelivered() | e.RecordRejected()
            | e.RetryScheduled() | e.PagesShifted() | e.SyncFailed() | e.SyncCancelled() | e.SyncResumed()
        ):  # fmt: skip
            return event
        case _:
            assert_never(event)


def _struct(pseudonyms: Pseudonyms, value: Any) -> Any:
    rules = TABLE[type(value)]
    names = type(value).__struct_fields__
    return type(value)(**{name: _field(pseudonyms, rules, name, getattr(value, name)) for name in names})


def _field(pseudonyms: Pseudonyms, rules: dict[str, Redactor], name: str, value: Any) -> Any:
    match value:
        case str():
            return rules[name](pseudonyms, value)  # a KeyError here is a field nobody decided about
        case Value():
            return _struct(pseudonyms, value)
        case tuple():
            return tuple(_field(pseudonyms, rules, name, item) for item in value)
        case dict():
            return {_found_key(pseudonyms, key): rules[name](pseudonyms, text) for key, text in value.items()}
        case _:
            return value
