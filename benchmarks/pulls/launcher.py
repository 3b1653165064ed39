"""Run a command and write down what it took: `python -I launcher.py RESULT COMMAND...`.

A process of its own, because the kernel counts the memory of whoever starts a program as the program's, until
it is larger itself: this one is small.
"""

import json
import os
import sys
import time


def main(result: str, command: list[str]) -> None:
    """Write seconds, seconds of the processor, peak memory and exit status to a file, as JSON."""
    began_s = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    taken = {
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w") as file:  # noqa: PTH123 - pathlib would be a third of its memory
        json.dump(taken, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
