"""What a JSON Lines sink asks of its file: to be written whole and safely, and why it cannot be, in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

_ADVICE = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the disk quota is used up; make room",
    errno.EROFS: "the disk is read-only; name another file",
    errno.EACCES: "writing is not permitted; give write permission to the file and its folder",
    errno.EPERM: "writing is not permitted; give write permission to the file and its folder",
    errno.ENOENT: "its folder does not exist; make it",
    errno.EISDIR: "it is a folder; name a file",
}


class NotInPlace(OSError):
    """The file that is open is not at its path any more, or was cut short."""


def advice(error: OSError) -> str:
    """Return what is wrong with a file and what to do."""
    return _ADVICE.get(error.errno or 0) or error.strerror or type(error).__name__


def check_access(path: Path) -> None:
    """Raise the error that writing would meet, as far as that can be told without writing."""
    path.stat()
    if not os.access(path, os.W_OK):
        raise OSError(_why_not_writable(path), "not writable")


def _why_not_writable(path: Path) -> int:
    is_read_only = hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY
    return errno.EROFS if is_read_only else errno.EACCES


def write_all(file: BinaryIO, data: bytes) -> None:
    """Append the data so that it survives a power cut, or leave the file as it was."""
    if not data:
        return
    start = file.seek(0, os.SEEK_END)
    try:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
        os.fsync(file.fileno())
    except OSError:
        file.truncate(start)
        raise
