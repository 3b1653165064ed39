"""A sink and a log have files of their own: the same file is refused before anything is opened."""

from __future__ import annotations

from pathlib import Path

from syncfsm.errors import ConfigurationError
from syncfsm.sinks.places import FILE_SINKS


def check_sink_file(sink_url: str, *log_paths: str) -> None:
    """Refuse a sink whose file is one of the logs, under whatever name, or no file that ends.

    Raises:
        ConfigurationError: It is; nothing was opened.
    """
    kind, _, name = sink_url.partition(":")
    path = Path(name.removeprefix("//"))
    if kind not in FILE_SINKS or not name or name == ":memory:":
        return
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"the sink {path} is no regular file: name another")
    for log_path in log_paths:
        log = Path(log_path.removeprefix("sqlite:").removeprefix("//"))
        if path.resolve() == log.resolve() or (path.exists() and log.exists() and path.samefile(log)):
            raise ConfigurationError(
                f"the sink and the log are the same file, {log}: name another for one of them"
            )
