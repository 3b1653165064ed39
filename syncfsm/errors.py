"""The exceptions, each telling what to do about it.

What the world does wrong (a 429, a refused key, a timed-out sink) is no exception here but a
`Failure`, a value that `decide` turns into events. Exceptions are for what the caller must act on:

    SyncfsmError
    ├── ConfigurationError     a setting that cannot work
    ├── InvalidTransition      an event that the process's state does not allow
    ├── ActiveSync             a sync of the same source object is already active
    ├── NotActive              a process that cannot be cancelled, or resumed, as it stands
    ├── ProcessNotFound        no process, or more than one, answers to that name
    ├── NotReproducible        a process cannot be made to take its path again
    ├── BrokenContract         what is plugged in does not do what it promised
    └── LogError               the event log cannot be used
        ├── LogNotFound        no log at that path, or an empty file that is none yet
        ├── VersionConflict    another worker appended first
        ├── LogUnwritable      disk full, read-only, locked: nothing was written
        ├── AppendInDoubt      the connection was lost: it may be written, or not
        └── CorruptLog         the log is not what was written
"""

from __future__ import annotations


class SyncfsmError(Exception):
    """The root of every exception that syncfsm raises on purpose."""


class ConfigurationError(SyncfsmError):
    """A setting cannot work. Raised before anything is asked of the world."""


class InvalidTransition(SyncfsmError):
    """An event does not fit the state of its process: a bug, or a corrupt log. It was not written."""


class ActiveSync(SyncfsmError):
    """A sync of the same source object is active in this log: resume it or cancel it first."""

    def __init__(self, message: str, process_id: str | None = None) -> None:
        super().__init__(message)
        self.process_id = process_id


class NotActive(SyncfsmError):
    """The process is over, or failed in a way that going on cannot mend: start a new one."""


class ProcessNotFound(SyncfsmError):
    """No process, or more than one, answers to the given id or prefix."""


class NotReproducible(SyncfsmError):
    """A process cannot be made to take its path again by the rules of this version: other rules led it."""


class BrokenContract(SyncfsmError):
    """A source, a transform, a sink or a hook does not do what its protocol promises: mend it.

    Within a run it is recorded as the process's failure. `Watcher` and `WebhookWorker` tell of one that kept
    a run from beginning.
    """


class LogError(SyncfsmError):
    """The event log cannot be used."""


class LogNotFound(LogError):
    """There is no log at that path, or only an empty file: check the path, or wait until there is one."""


class VersionConflict(LogError):
    """Another worker appended to the stream first. Nothing was written; load it again and look."""


class LogUnwritable(LogError):
    """The log's file cannot be written now (full disk, read-only, locked). Nothing was written.

    `is_locked` says that somebody else holds it, and may soon let go.
    """

    def __init__(self, message: str, *, is_locked: bool = False) -> None:
        super().__init__(message)
        self.is_locked = is_locked


class AppendInDoubt(LogError):
    """The connection to the log was lost in the middle of an append, and no other could be made.

    It is not known whether the events were written: all of them, or none. Whoever loads the process again,
    once the log can be reached, finds out, and goes on from there; nothing is written twice.
    """


class CorruptLog(LogError):
    """The log does not hold what was written to it, or was written by a newer syncfsm."""
