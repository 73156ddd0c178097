"""Results files as a CRM returns them, from the rows of a delivery."""

import csv

from features.score_tables import DELIVERY_RESULTS
from tests.serve.crm.samples import rows


def write_results(path, names, records, line_end="\r\n", quoting=csv.QUOTE_ALL, bom=""):
    """Write rows under their column names, as Salesforce quotes them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(bom)
        writer = csv.writer(file, lineterminator=line_end, quoting=quoting)
        writer.writerows([names, *records])
    return path


def write_salesforce_results(folder, delivered, statuses):
    """Write the three files of Bulk API 2.0 and return those that have rows.

    ``statuses`` maps the key of a row to True, False (not processed) or the text of its error.
    """
    records = {"successful": [], "failed": [], "unprocessed": []}
    names = list(rows(delivered)[0]) if rows(delivered) else []
    for number, row in enumerate(rows(delivered)):
        status, cells = statuses[row[names[0]]], list(row.values())
        if status is True:
            records["successful"].append([f"00Q{number:012}", "false", *cells])
        elif status is False:
            records["unprocessed"].append(cells)
        else:
            records["failed"].append(["", status, *cells])
    own = {"successful": ["sf__Id", "sf__Created"], "failed": ["sf__Id", "sf__Error"]}
    return [
        write_results(folder / f"{delivered.id}-{kind}.csv", own.get(kind, []) + names, lines)
        for kind, lines in records.items()
        if lines
    ]


def result_rows(table):
    """Return lead, content, status and message of DELIVERY_RESULTS, sorted by lead."""
    assert table.schema == DELIVERY_RESULTS
    names = ["entity_id", "content", "status", "message"]
    return [tuple(row.values()) for row in table.select(names).sort_by("entity_id").to_pylist()]
