"""All people by dlt: its REST API source and offset paginator, into SQLite by its SQLAlchemy destination.

Run in dlt's own environment: python with_dlt.py URL PAGE_SIZE FOLDER
"""

import sys
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source

SORTS = [{"attribute": "created_at", "direction": "asc"}, {"attribute": "record_id", "direction": "asc"}]


def main(url: str, page_size: int, folder: Path) -> None:
    """Pull everybody."""
    people = {
        "name": "people",
        "write_disposition": "replace",
        "max_table_nesting": 0,  # values stay JSON, as with the others; by default they become 30 tables
        "endpoint": {
            "path": "v2/objects/people/records/query",
            "method": "POST",
            "json": {"sorts": SORTS},
            "data_selector": "data",
            "paginator": {
                "type": "offset",
                "limit": page_size,
                "offset_param": None,
                "limit_param": None,
                "offset_body_path": "offset",
                "limit_body_path": "limit",
                "total_path": None,
            },
        },
    }
    client = {"base_url": url, "auth": {"type": "bearer", "token": "any"}}
    source = rest_api_source({"client": client, "resources": [people]})
    destination = dlt.destinations.sqlalchemy(f"sqlite:///{folder}/dlt.db")
    pipeline = dlt.pipeline("people", pipelines_dir=str(folder), destination=destination, dataset_name="main")
    pipeline.run(source)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
