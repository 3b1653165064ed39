"""All people by this library, embedded, from a source that is said to cut its pages.

python with_confirm_end.py URL PAGE_SIZE FOLDER
"""

import sys
from pathlib import Path

import syncfsm


def main(url: str, page_size: int, folder: Path) -> None:
    """Pull everybody."""
    source = syncfsm.AttioSource("any", base_url=url, options=syncfsm.Options(confirm_end=True))
    sink = syncfsm.open_sink(f"sqlite:{folder / 'contacts.db'}")
    with syncfsm.open_log(folder / "sync.db") as log:
        process = syncfsm.sync(
            log, source, sink, syncfsm.AttioPeople(source, companies=False), page_size=page_size
        )
    sys.exit(process.state is not syncfsm.State.COMPLETED)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
