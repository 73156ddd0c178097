"""Pull HubSpot or Salesforce with dlt into Parquet files that leadscore reads.

usage: python examples/pull_with_dlt.py hubspot|salesforce FOLDER

dlt is no dependency of leadscore. Make an environment of its own for it:

    python -m venv dlt-venv
    dlt-venv/bin/pip install dlt==1.31.0 pyarrow==26.0.1 duckdb==2.0.0

The accounts come from the environment only: HUBSPOT_TOKEN, or SALESFORCE_URL, SALESFORCE_CLIENT_ID
and SALESFORCE_CLIENT_SECRET. The first run reads everything, each later one what has changed.
FOLDER/raw keeps all versions that were read; hubspot.sql or salesforce.sql beside this script
makes leads, events, history and merges from them. See docs/sources/hubspot-salesforce.md.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # read by dlt as it starts

import dlt
import duckdb
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

# Names of your own fields may be added. Do not add names, addresses or notes: nothing needs them.
HUBSPOT_HISTORY = ["lifecyclestage", "hs_lead_status", "hs_analytics_source"]
SALESFORCE_LEAD_FIELDS = ["Status", "Rating"]
SALESFORCE_OPPORTUNITY_FIELDS = ["ForecastCategoryName"]

# A record that changes while a run reads, or whose transaction ends late, has a time before the
# newest one of that run. So each run reads the last day again.
LAG = 86_400.0
TABLES = ("leads", "events", "history", "merges")
HUBSPOT_COLUMNS = ["id", "created_at", "updated_at", "archived_at", "merged", "history", "contacts"]
SALESFORCE_QUERIES = {
    "leads": (
        "Lead",
        "SystemModstamp",
        "Id CreatedDate SystemModstamp IsDeleted MasterRecordId LeadSource Status ConvertedDate "
        "ConvertedOpportunityId",
        [],
    ),
    "opportunities": (
        "Opportunity",
        "SystemModstamp",
        "Id CreatedDate SystemModstamp IsDeleted",
        [],
    ),
    "lead_history": (
        "LeadHistory",
        "CreatedDate",
        "Id LeadId Field OldValue NewValue CreatedDate",
        [*SALESFORCE_LEAD_FIELDS, "leadConverted"],
    ),
    "opportunity_history": (
        "OpportunityHistory",
        "CreatedDate",
        "Id OpportunityId StageName Amount CreatedDate",
        [],
    ),
    "opportunity_field_history": (
        "OpportunityFieldHistory",
        "CreatedDate",
        "Id OpportunityId Field OldValue NewValue CreatedDate",
        SALESFORCE_OPPORTUNITY_FIELDS,
    ),
}


def main(crm: str, folder: Path) -> None:
    """Pull what has changed in a CRM, and write the files of leadscore."""
    folder.mkdir(parents=True, exist_ok=True)
    config, columns = {"hubspot": describe_hubspot, "salesforce": describe_salesforce}[crm]()
    pipeline = dlt.pipeline(
        pipeline_name=f"leadscore_{crm}",
        pipelines_dir=str(folder.resolve() / "state"),
        destination=dlt.destinations.filesystem(bucket_url=folder.resolve().as_uri()),
        dataset_name="raw",
    )
    pipeline.run(rest_api_source(config, name=crm), loader_file_format="parquet")
    for name, rows in write_tables(folder, crm, columns).items():
        print(f"{name}.parquet: {rows} rows")


def describe_hubspot() -> tuple[RESTAPIConfig, dict[str, list[str]]]:
    """Return the endpoints of HubSpot's CRM API v3, and the columns of each raw table.

    The list endpoint has no filter by time, and the search, which has one, gives no history. So
    each run reads all pages, and keeps the records that have changed.
    """
    history = ["hs_merged_object_ids", *HUBSPOT_HISTORY]
    contacts = {"properties": "hs_calculated_merged_vids", "propertiesWithHistory": history}
    deals = {"propertiesWithHistory": ["dealstage", "amount"], "associations": "contacts"}
    archived = {"properties": "hs_calculated_merged_vids", "archived": "true", "limit": 100}
    config: RESTAPIConfig = {
        "client": {
            "base_url": os.environ.get("HUBSPOT_URL", "https://api.hubapi.com"),
            "auth": {"type": "bearer", "token": read_secret("HUBSPOT_TOKEN")},
            "paginator": {
                "type": "cursor",
                "cursor_path": "paging.next.after",
                "cursor_param": "after",
            },
        },
        "resource_defaults": describe_defaults(HUBSPOT_COLUMNS),
        "resources": [
            describe_hubspot_list("contacts", "contacts", "updated_at", contacts),
            describe_hubspot_list("archived_contacts", "contacts", "archived_at", archived),
            describe_hubspot_list("deals", "deals", "updated_at", deals),
        ],
    }
    return config, dict.fromkeys(("contacts", "archived_contacts", "deals"), HUBSPOT_COLUMNS)


def describe_hubspot_list(name: str, kind: str, cursor: str, params: dict[str, Any]) -> Any:
    """Return the resource of all records of one kind; 50 in a page is the limit with history."""
    texts = {k: ",".join(v) if isinstance(v, list) else v for k, v in params.items()}
    endpoint = {
        "path": f"/crm/v3/objects/{kind}",
        "params": {"limit": 50, **texts},
        "data_selector": "results",
        "incremental": {
            "cursor_path": cursor,
            "initial_value": "2000-01-01T00:00:00.000Z",
            "lag": LAG,
        },
    }
    return {"name": name, "endpoint": endpoint, "processing_steps": [{"map": flatten_hubspot}]}


def flatten_hubspot(record: dict[str, Any]) -> dict[str, str | None]:
    """Return the texts of one row: what is nested is JSON, what is not needed is left out."""
    associated = record.get("associations", {}).get("contacts", {})
    history = [
        {"field": field, "value": entry["value"], "changed": entry["timestamp"]}
        for field, entries in (record.get("propertiesWithHistory") or {}).items()
        for entry in entries
    ]
    if associated.get("paging"):
        raise ValueError(f"deal {record['id']} has more contacts than one answer holds")
    return {
        "id": record["id"],
        "created_at": record["createdAt"],
        "updated_at": record["updatedAt"],
        "archived_at": record.get("archivedAt") if record["archived"] else None,
        "merged": (record.get("properties") or {}).get("hs_calculated_merged_vids"),
        "history": json.dumps(history),
        "contacts": json.dumps([row["id"] for row in associated.get("results", [])]),
    }


def describe_salesforce() -> tuple[RESTAPIConfig, dict[str, list[str]]]:
    """Return the queries of Salesforce's REST API, and the columns of each raw table."""
    url = read_secret("SALESFORCE_URL").rstrip("/")
    config: RESTAPIConfig = {
        "client": {
            "base_url": url,
            "auth": {
                "type": "oauth2_client_credentials",
                "access_token_url": f"{url}/services/oauth2/token",
                "client_id": read_secret("SALESFORCE_CLIENT_ID"),
                "client_secret": read_secret("SALESFORCE_CLIENT_SECRET"),
            },
            "paginator": {"type": "json_link", "next_url_path": "nextRecordsUrl"},
        },
        "resources": [describe_salesforce_query(name) for name in SALESFORCE_QUERIES],
    }
    fields = {name: query[2].split() for name, query in SALESFORCE_QUERIES.items()}
    return config, {name: [field.lower() for field in fields[name]] for name in fields}


def describe_salesforce_query(name: str) -> Any:
    """Return the resource of one SOQL query; `queryAll` gives deleted rows, too."""
    table, cursor, fields, only = SALESFORCE_QUERIES[name]
    names = fields.split()
    quoted = ", ".join(f"'{value}'" for value in only)
    condition = f" AND Field IN ({quoted})" if only else ""
    query = f"SELECT {', '.join(names)} FROM {table} WHERE {cursor} >= "  # noqa: S608
    query += "{incremental.start_value}" + condition
    endpoint = {
        "path": "/services/data/v62.0/queryAll",
        "params": {"q": query},
        "data_selector": "records",
        "incremental": {
            "cursor_path": cursor.lower(),
            "initial_value": "2000-01-01T00:00:00.000+0000",
            "lag": LAG,
            "convert": lambda value: value[:19] + "Z",  # a time in SOQL has no +0000
        },
    }
    return {
        **describe_defaults([name.lower() for name in names]),
        "name": name,
        "endpoint": endpoint,
        "processing_steps": [{"map": flatten_salesforce}],
    }


def flatten_salesforce(record: dict[str, Any]) -> dict[str, str | None]:
    """Return the texts of one row. A value of a history may be of any type: it becomes text."""
    return {
        name.lower(): value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in record.items()
        if name != "attributes"
    }


def describe_defaults(columns: list[str]) -> Any:
    """Return what holds for a raw table: rows are added, and each column is there and is text."""
    hints = {name: {"data_type": "text", "nullable": True} for name in columns}
    return {"write_disposition": "append", "max_table_nesting": 0, "columns": hints}


def read_secret(name: str) -> str:
    """Return a variable of the environment, or end."""
    value = os.environ.get(name)
    if not value:
        sys.exit(f"Set {name} in the environment.")
    return value


def write_tables(folder: Path, crm: str, columns: dict[str, list[str]]) -> dict[str, int]:
    """Make the tables of leadscore from the raw ones, replace their files, and count the rows."""
    rows = {}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name, names in columns.items():
            hints = ", ".join(f"{column} VARCHAR" for column in names)
            database.execute(f"CREATE TABLE raw_{name} ({hints})")
            for file in sorted((folder / "raw" / name).glob("*.parquet")):
                database.read_parquet(str(file)).select(*names).insert_into(f"raw_{name}")
        database.execute(Path(__file__).with_name(f"{crm}.sql").read_text("utf-8"))
        for name in TABLES:
            part = folder / f"{name}.part"
            table = database.table(name)
            table.write_parquet(str(part))
            part.replace(folder / f"{name}.parquet")  # a night never reads half a file
            rows[name] = len(table)
    return rows


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("hubspot", "salesforce"):
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
