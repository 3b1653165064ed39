"""A sink and a log have files of their own, that stay: anything else is refused before it is opened."""

from __future__ import annotations

from pathlib import Path

from syncfsm.errors import ConfigurationError
from syncfsm.files.paths import MEMORY, is_same_file, path_in, split_url
from syncfsm.log import log_name
from syncfsm.postgres.driver import is_postgres
from syncfsm.sinks.same_sink import FILE_SINKS


def check_sink_file(sink_url: str, *log_paths: str) -> None:
    """Refuse a sink whose file is one of the logs, under whatever name, and what is no file that stays.

    Raises:
        ConfigurationError: It is; nothing was opened.
    """
    kind, name = split_url(sink_url)
    path = Path(name)
    if any(str(Path(path_in(log_path))) == MEMORY for log_path in log_paths):
        raise ConfigurationError("a log in memory is gone when the command ends: name a file")
    if kind not in FILE_SINKS or not name:
        return
    if str(path) == MEMORY:
        raise ConfigurationError("a sink in memory is gone when the command ends: name a file")
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"the sink {path} is no regular file: name another")
    for log_path in filter(_is_file, log_paths):
        log = Path(path_in(log_path))
        if is_same_file(path, log):
            raise ConfigurationError(
                f"the sink and the log are the same file, {log}: name another for one of them"
            )


def is_same_log(one: str, other: str) -> bool:
    """Whether two logs are one, under whatever name.

    Raises:
        ConfigurationError: A URL cannot be read.
    """
    if _is_file(one) and _is_file(other):
        return is_same_file(Path(path_in(one)), Path(path_in(other)))
    return log_name(one) == log_name(other)


def _is_file(log_path: str) -> bool:
    return not is_postgres(log_path)
