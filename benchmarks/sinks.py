"""`python -m benchmarks.sinks`: pages a second into PostgreSQL beside SQLite, in turns. See README.md."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import click
from msgspec.structs import replace

from syncfsm.core.marks import Mark
from syncfsm.items.contact import Contact
from syncfsm.sinks import UpsertResult, open_sink

PAGES = 20
KINDS = ("new", "unchanged", "changed")


@click.command()
@click.option("--postgres", "url", default=None, help="A server's URL; one of its own if there is none.")
@click.option("--turns", default=5, show_default=True, help="Times that each is measured, in turns.")
def main(url: str | None, turns: int) -> None:
    """Measure how many pages a second a sink takes, with a mark each."""
    with _server(url) as there:
        for page_size in (50, 499):
            taken: dict[tuple[str, str], list[float]] = {}
            for turn in range(turns):
                for name, kind, pages_per_s in _measured(there, page_size, turn):
                    taken.setdefault((kind, name), []).append(pages_per_s)
            _print(page_size, {key: median(values) for key, values in taken.items()})


def _measured(url: str, page_size: int, turn: int) -> Iterator[tuple[str, str, float]]:
    with TemporaryDirectory() as folder:
        table = f"bench_{page_size}_{turn}"
        urls = {"sqlite": f"sqlite:{Path(folder) / 'c.db'}", "postgresql": f"{url}&table={table}"}
        for name, sink in urls.items():
            for kind, pages_per_s in asyncio.run(_pages_per_s(sink, page_size)):
                yield name, kind, pages_per_s


async def _pages_per_s(url: str, page_size: int) -> list[tuple[str, float]]:
    sink = open_sink(url)
    await sink.check()
    found = []
    pages = _pages(page_size)
    for kind in KINDS:
        given = pages if kind != "changed" else [_changed(page) for page in pages]
        began = perf_counter()
        for version, page in enumerate(given):
            mark = Mark(source="attio", object="people", process=kind, version=version)
            done = await sink.upsert_marked(page, mark)  # type: ignore[attr-defined]
            assert isinstance(done, UpsertResult), done
            counts = {"new": done.created, "unchanged": done.unchanged, "changed": done.updated}
            assert counts[kind] == page_size, done
        found.append((kind, len(given) / (perf_counter() - began)))
    await sink.aclose()
    return found


def _pages(page_size: int) -> list[list[Contact]]:
    return [[_contact(page * page_size + row) for row in range(page_size)] for page in range(PAGES)]


def _contact(number: int) -> Contact:
    return Contact(
        external_id=f"8a4b1c0e-0000-4000-8000-{number:012}",
        source="attio",
        first_name=f"Ada {number}",
        last_name="Lovelace",
        company="United Bakeries",
        phone_numbers=("+14155550132",),
        emails=(f"ada{number}@mail.example",),
    )


def _changed(page: list[Contact]) -> list[Contact]:
    return [replace(contact, role="Countess") for contact in page]


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield f"{url}{'&' if '?' in url else '?'}schema=syncfsm_bench"
        return
    from tests import postgres  # noqa: PLC0415 - that of the tests, but one that waits for its disk as SQLite does

    postgres.admin().execute("ALTER SYSTEM SET fsync = on")
    postgres.admin().execute("SELECT pg_reload_conf()")
    with postgres.a_schema() as own:
        yield own
    postgres.stop_all()


def _print(page_size: int, pages_per_s: dict[tuple[str, str], float]) -> None:
    click.echo(f"pages of {page_size}, a second" + f"{'SQLite':>22}{'PostgreSQL':>14}{'ratio':>9}")
    for kind in KINDS:
        sqlite, postgres = pages_per_s[kind, "sqlite"], pages_per_s[kind, "postgresql"]
        click.echo(f"  {kind:<36}{sqlite:>8,.0f}{postgres:>14,.0f}{postgres / sqlite:>8.2f}x")


if __name__ == "__main__":
    sys.exit(main())
