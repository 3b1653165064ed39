"""The options of the Quo sink, for the commands that run a sync."""

from __future__ import annotations

import os
from typing import Any

import click

from syncfsm.cli.shared.config_file import is_key_variable
from syncfsm.core.source_name import SourceName
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.sinks import Sink, open_sink
from syncfsm.sinks.quo.api import BASE_URL, KEY_VARIABLE, PARTNER_KEY_VARIABLE
from syncfsm.sinks.quo.sink import KIND

KEY_VARIABLES = (KEY_VARIABLE, PARTNER_KEY_VARIABLE)

quo_options = (
    click.option(
        "--quo-base-url", metavar="URL", help=f"Where Quo's API is.  [default: {BASE_URL}]", default=None
    ),
    click.option(
        "--quo-bulk",
        is_flag=True,
        help=f"Create contacts in bulk, with a partner's key in {PARTNER_KEY_VARIABLE}.",
    ),
    click.option("--require-phone", is_flag=True, help="Leave people without a phone number out of Quo."),
    click.option(
        "--default-region",
        metavar="REGION",
        help="Where phone numbers without a country code are from, for Quo: US, GB, …",
    ),
)


def open_asked(
    *,
    sink_url: str,
    quo_base_url: str | None,
    quo_bulk: bool,
    require_phone: bool,
    default_region: str | None,
    source: str,
    account: str = "",
    sink_key_variable: str | None = None,
    **_: Any,
) -> Sink[Contact]:
    """Open the sink that was asked for.

    Raises:
        ConfigurationError: There is no such sink, an option does not go with it, or a key is missing.
    """
    kind, separator, where = sink_url.partition(":")
    if kind == KIND and separator:
        items_source = SourceName(kind=source, account=account).items_source
        more = {"require_phone": require_phone, "default_region": default_region, "source": items_source}
        partner = {"partner_key": _partner_key()} if quo_bulk else {}
        url = f"{KIND}:{quo_base_url or where}"
        return open_sink(url, key=key_in(sink_key_variable), more=more | partner)
    if quo_base_url or quo_bulk or require_phone or default_region:
        raise ConfigurationError(
            "--quo-base-url, --quo-bulk, --require-phone and --default-region go with --sink quo: only"
        )
    return open_sink(sink_url, key=key_in(sink_key_variable))


def key_in(variable: str | None) -> str | None:
    """Return the key that a variable holds; null where none is named, so that the usual one counts.

    Raises:
        ConfigurationError: It is not named as one that holds a key is, or not set.
    """
    if variable is None:
        return None
    if not is_key_variable(variable):
        raise ConfigurationError(
            f"{variable!r} is no name of a variable that holds a key: let it end in _API_KEY, and the key is "
            "kept out of sight"
        )
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigurationError(f"there is no key in {variable}: set it")
    return key


def _partner_key() -> str:
    key = os.environ.get(PARTNER_KEY_VARIABLE, "").strip()
    if not key:
        raise ConfigurationError(f"there is no key for Quo's bulk route: set {PARTNER_KEY_VARIABLE}")
    return key
