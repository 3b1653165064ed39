"""What to do next with a process, and the exact command that does it."""

from __future__ import annotations

from shlex import join

from syncfsm.core import events as e
from syncfsm.core.describe import duration
from syncfsm.core.limits import LIMITS, advised
from syncfsm.core.machine import State
from syncfsm.core.marks import plain_name
from syncfsm.core.process import Process
from syncfsm.core.source_name import SourceName
from syncfsm.core.state import FailureReason
from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError
from syncfsm.sinks.factory import SINKS
from syncfsm.sinks.quo.api import KEY_VARIABLE as QUO_KEY_VARIABLE
from syncfsm.sinks.quo.api import PARTNER_KEY_VARIABLE as QUO_PARTNER_KEY_VARIABLE
from syncfsm.sources import axiscare
from syncfsm.sources.attio import source as attio
from syncfsm.sources.factory import SOURCES, SourceFactory

SIMULATED = ".simulated"
"""Ends the host of every API that only a simulation knows."""

CAPTURED = "captured"
"""What the source of a re-run is called, before the process that was captured."""

SILENT_S = 60.0
"""An active process without an event for so long, and nothing to wait for, has probably lost its worker."""


class LogName(Value, frozen=True):
    """The log as the commands are to name it, and whether what came is kept in it."""

    path: str
    is_captured: bool = False


class Advice(Value, frozen=True):
    """One thing to do: in words, and the command for it where there is one."""

    words: str
    command: str | None


_MENDED = "then go on where it stopped; nothing is lost"

_BY_REASON: dict[str, tuple[str, tuple[str, ...]]] = {
    # reason: what to do, and what the command says besides
    "unauthorized": (f"Set {{variable}} to a key that the source accepts, {_MENDED}.", ()),
    "forbidden": (f"Give the key the scopes that it lacks, {_MENDED}.", ()),
    "not_found": ("Name an object that the source has: a new sync of it then begins.", ("--object", "NAME")),
    "elsewhere": (f"Set {{variable}} to a key of the workspace that it began with, {_MENDED}.", ()),
    "untrusted": (f"Let SSL_CERT_FILE name the certificate of who signed the server's, {_MENDED}.", ()),
    "bad_request": (f"Mend what the source refuses in the request, {_MENDED}.", ()),
    "misdirected": (f"See where the base URL should lead, or tell the source's makers, {_MENDED}.", ()),
    "cursor_repeats": ("Start anew; if it happens again, tell whoever makes the source.", ()),
    "unfit": (f"Bring back in the source what is missing, {_MENDED}; or go on without, as it says.", ()),
    "unwritable": (f"Let the sink be written again (free space, permissions), {_MENDED}.", ()),
    "emptied": (f"Put the sink back where it was, {_MENDED}; or bring everybody with --fresh.", ()),
    "put_back": ("Sync once more: what is missing is brought again; or bring everybody with --fresh.", ()),
    "replaced": (f"Put the sink's file back where it was, {_MENDED}; or bring everybody with --fresh.", ()),
    "mixed": ("Name another sink: a new sync into it then begins.", ("--sink", "sqlite:FILE")),
    "foreign": ("Name another sink: a new sync into it then begins.", ("--sink", "sqlite:FILE")),
    "raised": (f"Mend the code that raised it, {_MENDED}.", ()),
    "unordered": ("Start anew in the order in which the source keeps its rows.", ("--order", "id")),
    "ties": ("Start anew in an order in which no rows tie.", ("--order", "id")),
}

_SINK_KEYS = (QUO_PARTNER_KEY_VARIABLE, QUO_KEY_VARIABLE)
"""Variables that a sink's refusal names."""

_ALLOWED = {
    "missing_ratio_max": (
        "See in the source whether so many are gone: none was deleted.",
        "If they are, allow it, and go on.",
    ),
    "blanked_ratio_max": (
        "See in the source whether so many have none any more: nothing of this page was written.",
        "If they have none, allow it, and go on.",
    ),
}

_CALMER = {
    "attempts_max": "Once the source or sink answers again, go on where it stopped; nothing is lost.",
    "wait_s_max": "Run again once it may be asked, and it goes on where it stopped; nothing is lost.",
    "waiting_s_max": "Once the source asks for less patience, go on where it stopped; nothing is lost.",
    "step_backs_max": "Go on at a time when fewer rows come and go; nothing is lost.",
    "stalled_pages_max": "If the source has many pages without records, go on with more; nothing is lost.",
    "stalled_rows_max": "Go on at a time when fewer rows come and go; nothing is lost.",
}


def steps(
    process: Process, log: LogName, silent_s: float | None = None, since_event_s: float | None = None
) -> tuple[Advice, ...]:
    """Return what to do next, in this order.

    Args:
        process: The last state.
        log: Where it is.
        silent_s: Seconds since its last event, or since the wait that it scheduled, if known.
        since_event_s: Seconds since its last event, if known.
    """
    unlike = _no_sync_of_ours(process, log)
    if unlike is not None:
        return () if process.state is State.COMPLETED else (unlike,)
    match process.state:
        case State.FAILED if process.failure is not None:
            return _after_failure(process, process.failure, log)
        case State.COMPLETED:
            return _after_completion(process, log)
        case State.CANCELLED:
            return (Advice(words="Begin a new sync, if one is wanted.", command=_again(process, log)),)
        case _:
            return _while_active(process, log, silent_s, since_event_s)


def _no_sync_of_ours(process: Process, log: LogName) -> Advice | None:
    """Return what to do with the log of something that no command and no program can go on with."""
    named = SourceName.of(process.source)
    kind, where = named.kind, named.where
    if where.rstrip("/").endswith(SIMULATED):
        play = f"{join(('syncfsm', 'log', 'scenario', log.path, process.id))} > incident.toml"
        words = (
            "This was a simulation: make a scenario of it, to change (faults, people, limits) and play again."
        )
        return Advice(words=words, command=play)
    if kind == CAPTURED:
        return Advice(
            words="This was a re-run of what was captured, and ends where that ended.", command=None
        )
    if where and "://" not in where and kind in _SOURCES:
        return Advice(
            words="This log was redacted: go on with the one that it was exported from.", command=None
        )
    return None


def _after_failure(process: Process, failure: FailureReason, log: LogName) -> tuple[Advice, ...]:
    reason, error = failure.reason, failure.error
    raised = tuple(word for setting in advised(error) for word in ("--set", setting))
    if reason == "reject_ratio_max":
        look = join(("syncfsm", "log", "rejects", log.path, process.id))
        return (
            Advice(words="See which records were rejected, and why, and mend that.", command=look),
            Advice(words="Then go on; or allow more rejects.", command=_again(process, log, *raised)),
        )
    if reason == "cursor_lost":
        anew = _again(process, log, is_anew=True)
        return (
            Advice(words="Go on: the source may know its next page again.", command=_again(process, log)),
            Advice(words="If it does not, start anew: what was delivered stays as it is.", command=anew),
        )
    if reason in _CALMER:
        words = f"If it fails the same way, raise the limit {reason}."
        if reason == "wait_s_max":
            words = f"To have it wait until then, raise the limit {reason}."
        raising = Advice(words=words, command=_again(process, log, *raised))
        return (Advice(words=_CALMER[reason], command=_again(process, log)), raising)
    if reason in _ALLOWED:
        look, allow = _ALLOWED[reason]
        return (
            Advice(words=look, command=None),
            Advice(words=allow, command=_again(process, log, *raised)),
        )
    if failure.what == "look-up" and SourceName.of(process.source).kind == attio.KIND:
        words = f"Let the key read companies, {_MENDED}; or go on without their names, as this command does."
        return (Advice(words=words, command=f"{_again(process, log)} --no-companies"),)
    return (_single_step(process, log, reason, error),)


def _single_step(process: Process, log: LogName, reason: str, error: str) -> Advice:
    if reason == "too_large":
        size = max(1, process.page_size // 2)
        return Advice(words="Ask for smaller pages.", command=_again(process, log, "--page-size", str(size)))
    if reason == "unasked":
        return Advice(words="Run a whole sync: the source cannot be asked for single records.", command=None)
    refused = next((name for name in _SINK_KEYS if name in error), None)
    if refused is not None:
        words = f"Set {refused} to a key that the sink accepts, {_MENDED}."
        return Advice(words=words, command=_again(process, log))
    words, flags = _BY_REASON.get(reason, (f"Mend the cause, {_MENDED}.", ()))
    words = words.format(variable=_key_variable(process))
    if process.order == "id" and flags == ("--order", "id"):
        flags = _in_another_order(process)
    return Advice(words=words, command=_again(process, log, *flags))


def _after_completion(process: Process, log: LogName) -> tuple[Advice, ...]:
    if not process.progress.rejected:
        return ()
    look = join(("syncfsm", "log", "rejects", log.path, process.id))
    send = _again(process, log, retry=True)
    return (
        Advice(words="See which records were rejected, and why, and mend that.", command=look),
        Advice(words="Then send them again.", command=send),
    )


def _while_active(
    process: Process, log: LogName, silent_s: float | None, since_event_s: float | None
) -> tuple[Advice, ...]:
    follow = join(("syncfsm", "log", "follow", log.path, process.id))
    if silent_s is not None and silent_s < SILENT_S:
        # A worker that was just killed, or killed in a wait, leaves the same log: nobody can tell yet.
        ago = (
            f"; its last event was {duration(round(since_event_s))} ago" if since_event_s is not None else ""
        )
        return (
            Advice(words=f"It is under way{ago}: watch it.", command=follow),
            Advice(words="If no worker runs, the same command goes on.", command=_again(process, log)),
        )
    return (
        Advice(words="See whether a worker is on it.", command=follow),
        Advice(words="If none is, go on where it stopped; nothing is lost.", command=_again(process, log)),
    )


def _again(process: Process, log: LogName, *more: str, retry: bool = False, is_anew: bool = False) -> str:
    """Return the command that goes on with a process, or begins it anew; code where no command can."""
    named = SourceName.of(process.source)
    kind = named.kind
    mode: e.Mode = "rejects" if retry else "initial" if is_anew else process.mode
    if kind not in SOURCES.names() or not _is_sink_of_the_cli(process.sink):
        return "await engine.run(engine.start().id)" if is_anew else _in_code(mode, more)
    defaults = _SOURCES.get(kind, _OTHERS)
    asked = dict(zip(more[::2], more[1::2], strict=True))
    flags = {
        "--account": named.account,
        "--source": kind,
        "--base-url": named.where,
        "--object": process.object,
        "--sink": plain_name(process.sink),
        "--log": log.path,
        "--order": process.order,
        "--mode": mode,
        "--changed-by": process.changed_by or "",
    } | asked
    if mode in _COMMANDS:
        for flag in ("--order", "--mode", "--changed-by"):
            del flags[flag]
    said = (word for flag, value in flags.items() if defaults.get(flag) != value for word in (flag, value))
    of = (process.parent or process.id,) if mode == "rejects" else ()
    bare = (*(("--capture",) if log.is_captured else ()), *(("--fresh",) if is_anew else ()))
    return join(("syncfsm", _COMMANDS.get(mode, "sync"), *of, *said, *bare))


_COMMANDS: dict[e.Mode, str] = {"rejects": "retry-rejects", "webhook": "webhooks"}
"""The commands of those modes that have one of their own; they ask by id, in no order."""

_CALLS: dict[e.Mode, str] = {"rejects": "retry_rejects", "webhook": "take_up_webhooks"}


def _factory(process: Process) -> SourceFactory | None:
    """Return what opens the source of a process by its name, where that is installed."""
    try:
        return SOURCES.find(SourceName.of(process.source).kind)
    except ConfigurationError:
        return None


def _key_variable(process: Process) -> str:
    factory = _factory(process)
    return (factory.key_variable if factory else "") or "the variable of its key"


def _in_another_order(process: Process) -> tuple[str, ...]:
    """Return how to ask for another order than by id, if the source has one or is not known."""
    factory = _factory(process)
    others = [order for order in factory.orders if order != "id"] if factory else ["newest"]
    return ("--order", others[0]) if others else ()


_OTHERS = {"--account": "", "--base-url": "", "--mode": "initial", "--changed-by": ""}
"""What need not be said of any source."""

_SOURCES = {
    # what need not be said of ours
    attio.KIND: {**_OTHERS, "--object": "people", "--order": "newest"},
    axiscare.KIND: {**_OTHERS, "--object": "clients", "--order": "id"},
}


def _in_code(mode: e.Mode, more: tuple[str, ...]) -> str:
    """Return the call for a source or a sink that no command knows."""
    said = [f"mode={mode!r}"] if mode == "ongoing" else []
    for flag, value in zip(more[::2], more[1::2], strict=True):
        match flag:
            case "--set":
                said.append(f"options=msgspec.structs.replace(source.options, {value})")
            case "--page-size":
                said.append(f"page_size={value}")
            case "--order":
                said.append(f"order={value!r}")
    return f"await engine.{_CALLS.get(mode, 'sync')}({', '.join(said)})"


def _is_sink_of_the_cli(sink: str) -> bool:
    kind, separator, _ = sink.partition(":")
    return bool(separator) and kind in SINKS.names()


assert set(_CALMER) < set(LIMITS), "each of them is a limit that can be raised"
