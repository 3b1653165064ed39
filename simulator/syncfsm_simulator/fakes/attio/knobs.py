"""How a fake Attio behaves where the real one differs from workspace to workspace, or is not known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from syncfsm.errors import ConfigurationError

LIMIT_MAX = 500

LimitPolicy = Literal["accept", "clamp", "reject"]
"""What is done about a `limit` above the maximum: the real API's answer is not known."""

Ties = Literal["ordered", "shuffled"]
"""How records come that the sorts leave tied: by record id, or, as an API may, each time anew.

Shuffled, the record id is no attribute to sort by after another, so that nobody can ask for an order.
"""

SCOPES = frozenset(
    {
        "object_configuration:read",
        "record_permission:read",
        "record_permission:read-write",
        "user_management:read",
        "webhook:read-write",
    }
)
"""What a token may do that was given every scope the fake has a use for."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Number = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Knobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every way in which the fake can be set.

    Attributes:
        api_key: The one token accepted; any that is not empty if none.
        scopes: What a token may do.
        token_level: Whose the token is: the `workspace`'s, or a `user`'s, who cannot have webhooks.
        reads_per_s: Reads allowed in one second of the clock; a query is a read.
        writes_per_s: Writes allowed in one second of the clock.
        latency_s: How long an answer takes.
        latency_us_per_offset: How many microseconds longer the answer to a query takes for each row of its
            offset.
        offset_max: The largest offset of a query; a larger one is a 400.
        limit_max: The most rows for one query.
        limit_policy: What to do about a `limit` above `limit_max`: `clamp` it in silence, `reject` or
            `accept` it.
        honours_sorts: Whether rows come in the order asked for, or by record id whatever was asked.
        ties: How records come that a query's sorts leave tied: `ordered` by record id, or `shuffled` at
            each request.
        score_query_max: The highest score of one query; beyond it, it is a 429 that no waiting cures.
        score_window_max: The highest sum of scores within ten seconds.
        score_others_per_s: What the other apps of the workspace use up of that, each second.
        write_conflicts: The share of writes to records that meet another one: a 409, worth another try.
        merge_s: How long a merge takes; until then the new record is a 404 `merge_in_progress`, and in no
            query.
        index_lag_s: How far queries are behind: who was created or changed is in none until then, though
            webhooks have told of them, and a GET has them.
        http_targets: Whether webhooks may be sent to `http://` on this machine; Attio wants `https://`.
        webhook_delay_s: The longest delay of a webhook's first attempt; above 0, they overtake each other.
        webhook_duplicates: The share of webhooks that are sent once more after they arrived.
        webhooks_per_s: Webhooks sent to one URL within a second.
    """

    api_key: str | None = None
    scopes: frozenset[str] = SCOPES
    token_level: Literal["workspace", "user"] = "workspace"  # noqa: S105 - no secret
    reads_per_s: Count = 100
    writes_per_s: Count = 25
    latency_s: Number = 0.0
    latency_us_per_offset: Number = 0.0
    offset_max: Count | None = None
    limit_max: Count = LIMIT_MAX
    limit_policy: LimitPolicy = "clamp"
    honours_sorts: bool = True
    ties: Ties = "ordered"
    score_query_max: Count | None = None
    score_window_max: Count | None = None
    score_others_per_s: Number = 0.0
    write_conflicts: Share = 0.0
    merge_s: Number = 0.0
    index_lag_s: Number = 0.0
    http_targets: bool = False
    webhook_delay_s: Number = 0.0
    webhook_duplicates: Share = 0.0
    webhooks_per_s: Annotated[int, msgspec.Meta(ge=1)] = 25


def read_knobs(settings: Iterable[str]) -> Knobs:
    """Return the knobs set by words such as `writes_per_s=5`; several scopes have commas between them.

    Raises:
        ConfigurationError: A name is no knob, or a value does not fit it.
    """
    given: dict[str, str | list[str]] = {}
    for setting in settings:
        name, _, text = (part.strip() for part in setting.partition("="))
        if name not in Knobs.__struct_fields__:
            known = ", ".join(Knobs.__struct_fields__)
            raise ConfigurationError(f"{name!r} is no knob: give NAME=VALUE, with one of {known}")
        given[name] = text.split(",") if name == "scopes" else text
    try:
        return msgspec.convert(given, Knobs, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the fake cannot be set so: {error}") from error
