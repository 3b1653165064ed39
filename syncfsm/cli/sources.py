"""`syncfsm sources`."""

from __future__ import annotations

from typing import Any

import click

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.plugins import Plugin
from syncfsm.sinks.factory import SINKS, SinkFactory
from syncfsm.sources.factory import SOURCES, SourceFactory

_WAYS = {"offset": "by offset", "page": "pages with numbers", "cursor": "by cursors"}


@click.command(cls=Command)
@json_option
def sources(*, as_json: bool) -> None:
    """List the sources and sinks that are installed, with the variable that holds the key of each.

    Packages bring more of them by entry points; one that cannot be used is listed with its problem.
    """
    found_sources, found_sinks = SOURCES.installed(), SINKS.installed()
    if as_json:
        print_json(
            {
                "sources": [_source_fields(plugin) for plugin in found_sources],
                "sinks": [_sink_fields(plugin) for plugin in found_sinks],
            }
        )
        return
    say("sources, for --source:")
    for source in found_sources:
        _print(source, source.name, _source_words(source.factory))
    say("sinks, for --sink:")
    for sink in found_sinks:
        _print(sink, sink.factory.example if sink.factory else sink.name, _sink_words(sink.factory))


def _print(plugin: Plugin[Any], asked_for: str, words: tuple[str, ...]) -> None:
    """Print one of them: how it is asked for, what it is, and below that what else there is to know."""
    if plugin.factory is None:
        say(f"  {asked_for:<14} {plugin.package} {plugin.problem}")
        return
    say(f"  {asked_for:<14} {plugin.factory.description}")
    details = [*filter(None, words), *([plugin.package] if plugin.package != "syncfsm" else [])]
    if details:
        say(f"  {'':<14} {'; '.join(details)}")


def _source_words(factory: SourceFactory | None) -> tuple[str, ...]:
    if factory is None:
        return ()
    return _key_words(factory.key_variable), _WAYS[factory.pagination], f"order {', '.join(factory.orders)}"


def _sink_words(factory: SinkFactory | None) -> tuple[str, ...]:
    return (_key_words(factory.key_variable),) if factory else ()


def _key_words(variable: str) -> str:
    return f"key in {variable}" if variable else ""


def _source_fields(plugin: Plugin[SourceFactory]) -> dict[str, Any]:
    factory = plugin.factory
    return {
        **_fields(plugin),
        "pagination": factory.pagination if factory else None,
        "orders": factory.orders if factory else None,
    }


def _sink_fields(plugin: Plugin[SinkFactory]) -> dict[str, Any]:
    return {**_fields(plugin), "example": plugin.factory.example if plugin.factory else None}


def _fields(plugin: Plugin[Any]) -> dict[str, Any]:
    factory = plugin.factory
    return {
        "name": plugin.name,
        "package": plugin.package,
        "description": factory.description if factory else None,
        "key_variable": (factory.key_variable or None) if factory else None,
        "problem": plugin.problem or None,
    }
