"""Hooks that cannot stop a sync: who watches must not be in the way.

What any other hook raises stops the run (see `Hook`), which is what a test wants, or a hook that must not be
skipped. What an observer raises is counted and said once.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook


class Observer(ABC):
    """A hook whose errors never stop a run. Subclass it and say what to do in `observe`.

    Attributes:
        errors: How many events could not be observed.
        last_error: The last error, for a debugger; its words are not logged, since they may hold anything.
        only_watches: Says to the engine that the process is where it was when the hook was called.
    """

    only_watches = True

    def __init__(self) -> None:
        self.errors = 0
        self.last_error: Exception | None = None

    def __call__(self, process: Process, recorded: Recorded) -> None:
        """Observe the event; whatever goes wrong, return."""
        try:
            self.observe(process, recorded)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the sync's
            self._note(error, recorded)

    @abstractmethod
    def observe(self, process: Process, recorded: Recorded) -> None:
        """Take note of `recorded`; `process` is the state after its whole append."""

    def _note(self, error: Exception, recorded: Recorded) -> None:
        """Count every error; log the first of a kind in a row, or a broken one would fill the disk."""
        if type(error) is not type(self.last_error):
            logging.getLogger("syncfsm.telemetry").warning(
                "%s raised %s at %s, version %d of process %s; the sync goes on, and more of these are only "
                "counted (`errors`, `last_error`)",
                self,
                type(error).__name__,
                recorded.type,
                recorded.version,
                recorded.stream,
            )
        self.errors += 1
        self.last_error = error

    def __repr__(self) -> str:
        """Name the class."""
        return type(self).__name__


class Guarded(Observer):
    """Another hook, made one that cannot stop a run."""

    def __init__(self, hook: Hook) -> None:
        super().__init__()
        self._hook = hook

    def observe(self, process: Process, recorded: Recorded) -> None:
        """Call the hook."""
        self._hook(process, recorded)

    def __repr__(self) -> str:
        """Name the hook."""
        return f"Guarded({getattr(self._hook, '__name__', type(self._hook).__name__)})"
