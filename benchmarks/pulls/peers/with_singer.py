"""All people by a Singer tap, made with its SDK: a REST stream with its offset paginator, onto stdout.

Run in the SDK's own environment: python with_singer.py URL PAGE_SIZE FOLDER > FOLDER/singer.jsonl
"""

import json
import sys
from pathlib import Path

from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import OffsetPaginator
from singer_sdk.streams import RESTStream

SORTS = [{"attribute": "created_at", "direction": "asc"}, {"attribute": "record_id", "direction": "asc"}]


class People(RESTStream):
    """The people of a workspace."""

    name = "people"
    path = "/v2/objects/people/records/query"
    http_method = "POST"
    payload_as_json = True
    records_jsonpath = "$.data[*]"
    primary_keys = ("record_id",)
    schema = th.PropertiesList(
        th.Property("record_id", th.StringType, required=True),
        th.Property("created_at", th.StringType),
        th.Property("web_url", th.StringType),
        th.Property("values", th.ObjectType(additional_properties=True)),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Where the API is."""
        return self.config["url"]

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """How the API knows us."""
        return BearerTokenAuthenticator(token="any")

    def get_new_paginator(self) -> OffsetPaginator:
        """Return what counts the offset on."""
        return OffsetPaginator(start_value=0, page_size=self.config["page_size"])

    def prepare_request_payload(self, _context: dict | None, next_page_token: int | None) -> dict:
        """Return the body that asks for a page."""
        return {"limit": self.config["page_size"], "offset": next_page_token, "sorts": SORTS}

    def post_process(self, row: dict, context: dict | None = None) -> dict:  # noqa: ARG002 - the SDK's own
        """Give a record the key that its primary key names."""
        return {**row, "record_id": row["id"]["record_id"]}


class PeopleTap(Tap):
    """A tap with one stream."""

    name = "tap-people"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("page_size", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [People(self)]


def main(url: str, page_size: int, folder: Path) -> None:
    """Pull everybody."""
    config = folder / "config.json"
    config.write_text(json.dumps({"url": url, "page_size": page_size}))
    PeopleTap.cli(["--config", str(config)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
