"""All people by Airbyte's CDK: a declarative source with its offset increment, onto stdout.

Run in the CDK's own environment: python with_airbyte.py URL PAGE_SIZE FOLDER > FOLDER/airbyte.jsonl
"""

import json
import sys
from pathlib import Path

from airbyte_cdk.cli.source_declarative_manifest import run

SORTS = [{"attribute": "created_at", "direction": "asc"}, {"attribute": "record_id", "direction": "asc"}]


def manifest(url: str, page_size: int) -> dict:
    """Return the source as the connector builder writes one."""
    into = {"type": "RequestOption", "inject_into": "body_json"}
    schema = {"type": "object", "additionalProperties": True, "properties": {}}
    people = {
        "type": "DeclarativeStream",
        "name": "people",
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": url,
                "path": "/v2/objects/people/records/query",
                "http_method": "POST",
                "authenticator": {"type": "BearerAuthenticator", "api_token": "any"},
                "request_body_json": {"sorts": SORTS},
                "error_handler": {
                    "type": "DefaultErrorHandler",
                    "backoff_strategies": [{"type": "WaitTimeFromHeader", "header": "Retry-After"}],
                },
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_size_option": {**into, "field_name": "limit"},
                "page_token_option": {**into, "field_name": "offset"},
                "pagination_strategy": {
                    "type": "OffsetIncrement",
                    "page_size": page_size,
                    "inject_on_first_request": True,
                },
            },
        },
    }
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["people"]},
        "streams": [people],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "additionalProperties": True},
        },
    }


def main(url: str, page_size: int, folder: Path) -> None:
    """Pull everybody."""
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(json.dumps({"__injected_declarative_manifest": manifest(url, page_size)}))
    stream = {"name": "people", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    catalog.write_text(json.dumps({"streams": [chosen]}))
    sys.argv[1:] = ["read", "--config", str(config), "--catalog", str(catalog)]
    run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
