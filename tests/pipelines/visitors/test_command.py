"""``leadscore funnel`` and a night of a company with web visitors."""

import csv
import json
import sys

import jsonschema
import pytest
import yaml

from pipelines import cli
from pipelines.json_output.commands import build_output_schema

AS_OF = "2024-09-01"


def write_company(folder):
    """Write a company of forty leads, each with a browser; every second one wins."""
    leads, visits, links = ["lead,born"], ["cookie,at,what,page,button"], []
    # Calls until the as-of: outcomes are complete through the end of the data.
    calls = [f"L{n},2024-{month:02}-{n + 1:02},call" for month in (7, 8) for n in range(31)]
    sales = ["lead,at,what", *calls]
    for n in range(40):
        month, day = 1 + n % 5, 1 + n % 28
        leads.append(f"L{n},2024-{month:02}-{day:02}")
        page = "prices" if n % 2 else "home"
        visits.append(f"c{n},2024-{month:02}-{day:02}T10:00,view,{page},{'demo' if n % 4 else ''}")
        visits.append(f"x{n},2024-{month:02}-{day:02}T11:00,view,home,")
        links.append(f"c{n},L{n},2024-{month:02}-{day:02}T12:00,{'2024-08-01' if n == 3 else ''}")
        if n % 2:
            sales.append(f"L{n},2024-{month + 1:02}-{day:02},won")
    links = ["cookie,lead,seen,wrong", *links]
    for name, rows in (("l", leads), ("v", visits), ("i", links), ("s", sales)):
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    event = {"event_time": "at", "event_type": "what"}
    web = {"path": "v.csv", "visitor_id": "cookie", "landing_page": "page"}
    link = {"path": "i.csv", "visitor_id": "cookie", "entity_id": "lead", "known_at": "seen"}
    config = {
        "project": "shop",
        "timezone": "UTC",
        "workspace": "workspace",
        "sources": {
            "leads": {"path": "l.csv", "entity_id": "lead", "created_at": "born"},
            "events": [
                {**web, "call_to_action": "button", **event},
                {"path": "s.csv", "entity_id": "lead", **event},
            ],
            "identities": {**link, "revoked_at": "wrong"},
            "max_staleness": "365d",
        },
        "targets": {"win": {"outcome": "won", "horizon": "60d", "cutoffs": {"every": "7d"}}},
        "features": {"stages": ["view", "won"]},
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    write_company(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def test_funnel_shows_visitors_and_writes_their_table(run, tmp_path):
    code, out, _ = run("funnel", "shop.yaml", "--as-of", AS_OF, "--json", "--out", "tables")
    assert code == 0
    result = json.loads(out)
    jsonschema.validate(result, build_output_schema("funnel"), jsonschema.Draft202012Validator)
    rows = {(row["segment_by"], row["segment"]): row for row in result["web_funnel"]}
    everyone = rows["all", "all"]
    # The link of one visitor is taken back, so it is nobody's again.
    assert (everyone["visitors"], everyone["contacts"], everyone["followed"]) == (80, 39, 80)
    assert everyone["customers_mature"] == 19 and everyone["never_identified"] == 41 / 80
    assert rows["landing_page", "prices"]["visitors"] == 20
    assert rows["call_to_action", "demo"]["contacts"] == 29
    with (tmp_path / "tables" / "web_funnel.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    earlier = json.loads(run("funnel", "shop.yaml", "--as-of", "2024-07-20", "--json")[1])
    assert earlier["web_funnel"][0]["contacts"] == 40
    _, text, _ = run("funnel", "shop.yaml", "--as-of", AS_OF)
    assert "landing page: prices" in text and "is credit, not its effect" in " ".join(text.split())


def test_check_says_how_many_rows_were_identified(run):
    code, out, _ = run("check", "shop.yaml", "--as-of", AS_OF, "--json")
    assert code == 0
    (count,) = (c for c in json.loads(out)["counts"] if c["source"] == "events_1")
    assert (count["rows_in"], count["identified"], count["anonymous"]) == (80, 40, 40)
    _, text, _ = run("check", "shop.yaml", "--as-of", AS_OF)
    assert "of visitors identified 40; of visitors never identified 40" in " ".join(text.split())
