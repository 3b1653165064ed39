"""All people by a loop over httpx, as one writes it in an afternoon: 16 requests in flight, no log, SQLite.

Nothing is tried again. Run where httpx is: python with_httpx.py URL PAGE_SIZE FOLDER
"""

import asyncio
import json
import sqlite3
import sys
from itertools import count
from pathlib import Path

import httpx

AT_ONCE = 16
SORTS = [{"attribute": "created_at", "direction": "asc"}, {"attribute": "record_id", "direction": "asc"}]


async def main(url: str, page_size: int, folder: Path) -> None:
    """Pull everybody."""
    database = sqlite3.connect(folder / "httpx.db")
    database.execute("CREATE TABLE people (id TEXT PRIMARY KEY, record TEXT)")
    offsets = count(0, page_size)
    is_over = False
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": "Bearer any"}, timeout=120, limits=limits
    ) as client:

        async def work() -> None:
            nonlocal is_over
            while not is_over:
                body = {"limit": page_size, "offset": next(offsets), "sorts": SORTS}
                reply = await client.post("/v2/objects/people/records/query", json=body)
                people = reply.raise_for_status().json()["data"]
                rows = [(person["id"]["record_id"], json.dumps(person)) for person in people]
                with database:
                    database.executemany("INSERT OR REPLACE INTO people VALUES (?, ?)", rows)
                is_over = is_over or len(people) < page_size

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(work())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
