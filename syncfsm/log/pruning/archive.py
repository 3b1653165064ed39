"""What goes, exported first: in the very form of an export, so that `log import` takes it."""

from __future__ import annotations

import os
from pathlib import Path

from syncfsm.errors import ConfigurationError
from syncfsm.files.private import private
from syncfsm.log.protocol import EventLog
from syncfsm.log.transfer.lines import FIRST_VERSION, FORMAT, EndLine, HeaderLine, event_line, to_bytes


def archive(log: EventLog, process_ids: set[str], path: Path) -> None:
    """Write all events of processes to a file that is not there yet; it survives a power cut from then on.

    Raises:
        ConfigurationError: It is there already, or cannot be written.
    """
    try:
        file = open(path, "xb", opener=private)  # noqa: SIM115 - `Path.open` takes no opener; closed below
    except FileExistsError as error:
        raise ConfigurationError(f"{path} is there already: name another file, or remove it") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with file:
            file.write(to_bytes(HeaderLine(format=FORMAT, version=FIRST_VERSION, redacted=False)))
            events = 0
            for row in log.stored_events():
                if row.stream in process_ids:
                    file.write(to_bytes(event_line(row)))
                    events += 1
            file.write(to_bytes(EndLine(processes=len(process_ids), events=events)))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.absolute().parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file survive a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
