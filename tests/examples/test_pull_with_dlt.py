"""The pull of HubSpot and Salesforce, against servers of the documented form."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines import cli
from tests.examples.crm_apis import FakeApi, serve

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("LEADSCORE_DLT_PYTHON") or (
    sys.executable if importlib.util.find_spec("dlt") else None
)
SOURCES = {
    "leads": "leads",
    "events_1": "events",
    "attributes_1": "history",
    "same_as_1": "merges",
}
START = datetime(2024, 1, 1, 10, tzinfo=UTC)
needs_dlt = pytest.mark.skipif(
    PYTHON is None, reason="dlt is not installed; LEADSCORE_DLT_PYTHON names a Python that has it"
)


def run_script(crm, address, folder, **more):
    """Run the script; return what it printed. dlt's telemetry would go to the server, too."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder.parent),
        "HUBSPOT_URL": address,
        "HUBSPOT_TOKEN": "secret-token",
        "SALESFORCE_URL": address,
        "SALESFORCE_CLIENT_ID": "app",
        "SALESFORCE_CLIENT_SECRET": "secret-of-the-app",
        "RUNTIME__DLTHUB_TELEMETRY_ENDPOINT": f"{address}/telemetry",
        **more,
    }
    command = [PYTHON, str(ROOT / "examples" / "pull_with_dlt.py"), crm, str(folder)]
    return subprocess.run(
        command, env=env, cwd=folder.parent, capture_output=True, text=True, check=False
    )


def pull(crm, address, folder):
    """Run the script to its end; no secret may be in its output and its files."""
    done = run_script(crm, address, folder)
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr
    for file in folder.rglob("*"):
        assert not file.is_file() or b"secret-" not in file.read_bytes(), file


def read(folder, name, order="ALL"):
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        return database.execute(
            f"SELECT * FROM '{folder / name}.parquet' ORDER BY {order}"
        ).fetchall()


def check_page(crm, folder, monkeypatch, capsys):
    """Check the files of a pull with the page's YAML: every row is used."""
    page = (ROOT / "docs" / "sources" / "hubspot-salesforce.md").read_text("utf-8")
    (block,) = re.findall(rf"```yaml\n# {crm}\n(.*?)```", page, re.S)
    path = folder.parent / "company.yaml"
    path.write_text(f"project: {crm}\nworkspace: work\ntimezone: UTC\n{block}", "utf-8")
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr("sys.argv", ["leadscore", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    assert ended.value.code == 0, shown
    for source, name in SOURCES.items():
        (line,) = re.findall(rf"^{source} +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)", shown.out, re.M)
        rows = str(len(read(folder, name)))
        assert line == (rows, rows, "0", "0", "0"), shown.out
    assert not shown.err, "no warning"


def write_time(days, hours=0.0, form="hubspot"):
    text = (START + timedelta(days=days, hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000")
    return text + ("Z" if form == "hubspot" else "+0000")


def make_history(*values):
    """Return a property's history as HubSpot gives it, newest first."""
    entries = [{"value": v, "timestamp": t, "sourceType": "CRM_UI"} for t, v in values]
    return entries[::-1]


def make_contact(number, created, updated, **changes):
    contact = {
        "id": str(number),
        "createdAt": write_time(created),
        "updatedAt": write_time(updated),
        "archived": False,
        "properties": {"hs_calculated_merged_vids": None},
        "propertiesWithHistory": {
            "lifecyclestage": make_history(
                (write_time(created), "lead"),
                (write_time(created + 1), "opportunity"),
            ),
        },
    }
    return {**contact, **changes}


def make_deal(number, contact, day, final):
    history = {
        "dealstage": make_history(
            (write_time(day), "appointmentscheduled"), (write_time(day + 5), final)
        ),
        "amount": make_history((write_time(day), "100"), (write_time(day + 4), "250.5")),
    }
    return {
        "id": f"9{number}",
        "createdAt": write_time(day),
        "updatedAt": write_time(day + 5),
        "archived": False,
        "properties": {},
        "propertiesWithHistory": history,
        "associations": {"contacts": {"results": [{"id": contact, "type": "deal_to_contact"}]}},
    }


def make_hubspot():
    """120 contacts, of which two are archived, and a deal of every second one."""
    api = FakeApi()
    contacts = [make_contact(i, i, i + 2) for i in range(1, 121)]
    for contact in contacts[:2]:
        contact.update(archived=True, archivedAt=contact["updatedAt"])
    deals = [
        make_deal(i, str(i), i + 2, "closedwon" if i % 4 else "closedlost")
        for i in range(4, 121, 2)
    ]
    api.tables = {"contacts": contacts, "deals": deals}
    return api


def change_hubspot(api):
    """Move contact 10 on, archive 30, and merge 20 and 21 into the new record 500."""
    contacts = {row["id"]: row for row in api.tables["contacts"]}
    contacts["30"].update(archived=True, archivedAt=write_time(132))
    ten = contacts["10"]
    ten["updatedAt"] = write_time(130)
    ten["propertiesWithHistory"]["lifecyclestage"].insert(
        0, {"value": "customer", "timestamp": write_time(130), "sourceType": "CRM_UI"}
    )
    merged = make_contact(500, 20, 131)
    merged["properties"]["hs_calculated_merged_vids"] = ";".join(
        f"{i}:{int((START + timedelta(days=131)).timestamp() * 1000)}" for i in (20, 21)
    )
    merged["propertiesWithHistory"]["hs_merged_object_ids"] = make_history(
        (write_time(131), "20;21")
    )
    kept = [row for row in api.tables["contacts"] if row["id"] not in ("20", "21")]
    api.tables["contacts"] = [*kept, merged]
    for deal in api.tables["deals"]:
        if deal["associations"]["contacts"]["results"][0]["id"] == "20":
            deal["associations"]["contacts"]["results"][0]["id"] = "500"
            deal["updatedAt"] = write_time(131)


@needs_dlt
@pytest.mark.slow
def test_hubspot_is_pulled_and_read(tmp_path, monkeypatch, capsys):
    api, folder = make_hubspot(), tmp_path / "hubspot"
    with serve(api) as address:
        pull("hubspot", address, folder)
        pages = [params.get("after", "0") for _, params in api.asked if "archived" not in params]
        assert sorted(pages) == ["0", "0", "0", "100", "50", "50"], "a 429, contacts and deals"
        assert len(read(folder, "leads")) == 120
        assert read(folder, "merges") == []
        first = read(folder, "events")
        assert [row[1:3] for row in first if row[1] == "archived"] == [
            ("archived", START + timedelta(days=day)) for day in (3, 4)
        ]
        won = [row for row in first if row[1] == "deal closedwon"]
        assert {row[4] for row in won} == {250.5}, "the amount of that time"

        change_hubspot(api)
        api.asked.clear()
        pull("hubspot", address, folder)
    assert {path for path, _ in api.asked} == {
        "/crm/v3/objects/contacts",
        "/crm/v3/objects/deals",
    }
    added = sorted((folder / "raw" / "contacts").glob("*.parquet"))
    assert len(added) == 2
    with duckdb.connect() as database:
        ids = database.execute("SELECT id FROM read_parquet(?)", [str(added[1])]).fetchall()
    assert sorted(ids) == [("10",), ("119",), ("120",), ("500",)], "changes and the last day"
    merge = START + timedelta(days=131)
    assert read(folder, "merges") == [("20", "500", merge), ("21", "500", merge)]
    leads = {row[0]: row for row in read(folder, "leads")}
    assert leads["500"] == ("500", START + timedelta(days=20), merge)
    events = read(folder, "events")
    assert set(first) <= set(events)
    assert ("10", "lifecycle customer") in [row[:2] for row in events]
    assert len([row for row in events if row[0] == "500"]) == 4
    assert [row[2] for row in events if row[:2] == ("30", "archived")] == [
        START + timedelta(days=132)
    ], "although its updatedAt is old"
    assert len(leads) == 121
    check_page("hubspot", folder, monkeypatch, capsys)


def name_lead(number, prefix="00Q5g000001"):
    """Return an id of 18 characters."""
    return f"{prefix}{number:04d}EAA"


def name_deal(number):
    return name_lead(number, "0065g000001")


def make_lead(number, modified, **changes):
    lead = {
        "Id": name_lead(number),
        "CreatedDate": write_time(number, form="salesforce"),
        "SystemModstamp": write_time(modified, form="salesforce"),
        "IsDeleted": False,
        "MasterRecordId": None,
        "LeadSource": "Web" if number % 2 else None,
        "Status": "Open",
        "ConvertedDate": None,
        "ConvertedOpportunityId": None,
    }
    return {**lead, **changes}


def make_salesforce():
    """60 leads; every third is converted, and every sixth one's opportunity is won."""
    api = FakeApi()
    api.tables = {name: [] for name in ("Lead", "Opportunity", "LeadHistory")}
    api.tables |= {"OpportunityHistory": [], "OpportunityFieldHistory": []}
    for i in range(1, 61):
        api.tables["Lead"].append(make_lead(i, i))
        if i % 3 == 0:
            convert(api, i)
    api.tables["Lead"][3].update(IsDeleted=True, SystemModstamp=write_time(9, form="salesforce"))
    history = api.tables["LeadHistory"]
    history[:] = [row for row in history if row["Id"] != "017-30-leadConverted"]
    add_stage(api, 33, 20, "Closed Won", 1)  # an older opportunity, won before the lead came
    return api


def convert(api, i):
    day = (START + timedelta(days=i + 3)).date()
    lead = api.tables["Lead"][i - 1]
    lead.update(Status="Qualified", SystemModstamp=write_time(i + 3, form="salesforce"))
    lead.update(ConvertedDate=str(day), ConvertedOpportunityId=name_deal(i))
    add_history(api, i, i + 1, "Status", "Open", "Working")
    add_history(api, i, i + 2, "Rating", None, 3)
    add_history(api, i, i + 3, "Status", "Working", "Qualified")
    add_history(api, i, i + 3, "leadConverted", None, None)
    times = {"CreatedDate": write_time(i + 3, form="salesforce")}
    times["SystemModstamp"] = write_time(i + 8, form="salesforce")
    api.tables["Opportunity"].append({"Id": name_deal(i), "IsDeleted": i == 36, **times})
    for later, stage, amount in ((3, "Prospecting", None), (4, "Prospecting", 7), (8, None, 9.5)):
        add_stage(api, i, i + later, stage or f"Closed {'Won' if i % 2 else 'Lost'}", amount)
    row = {"Id": f"017-f{i}", "OpportunityId": name_deal(i), "Field": "ForecastCategoryName"}
    row |= {"OldValue": "Pipeline", "NewValue": "Closed", **times}
    api.tables["OpportunityFieldHistory"].append(row)


def add_history(api, lead, day, field, before, after):
    row = {"Id": f"017-{lead}-{field}", "LeadId": name_lead(lead), "Field": field}
    row |= {"OldValue": before, "NewValue": after}
    api.tables["LeadHistory"].append({**row, "CreatedDate": write_time(day, form="salesforce")})


def add_stage(api, deal, day, stage, amount):
    row = {"Id": f"008-{deal}-{day:03d}", "OpportunityId": name_deal(deal), "StageName": stage}
    row |= {"Amount": amount, "CreatedDate": write_time(day, form="salesforce")}
    api.tables["OpportunityHistory"].append(row)


def change_salesforce(api):
    """Move lead 10 on, and merge lead 13 into 14."""
    api.tables["Lead"][9] = make_lead(10, 80, Status="Nurturing")
    add_history(api, 10, 80, "Status", "Open", "Nurturing")
    api.tables["Lead"][12] = make_lead(13, 80, IsDeleted=True, MasterRecordId=name_lead(14))


@needs_dlt
@pytest.mark.slow
def test_salesforce_is_pulled_and_read(tmp_path, monkeypatch, capsys):
    api, folder = make_salesforce(), tmp_path / "salesforce"
    with serve(api) as address:
        pull("salesforce", address, folder)
        assert len([path for path, _ in api.asked if "/query/01g" in path]) >= 6
        assert api.refused == 1
        assert len(read(folder, "leads")) == 60
        first = read(folder, "events")
        change_salesforce(api)
        api.asked.clear()
        pull("salesforce", address, folder)
    queries = [params["q"] for path, params in api.asked if params]
    assert "SystemModstamp >= 2024-03-03T10:00:00Z" in "".join(queries), "a day before the last"
    events = read(folder, "events")
    assert set(first) <= set(events)
    assert [row[:2] for row in set(events) - set(first)] == [(name_lead(10), "status Nurturing")]
    assert read(folder, "merges") == [
        (name_lead(13), name_lead(14), START + timedelta(days=80)),
    ]
    check_stages(events)
    history = {row[:4] for row in read(folder, "history")}
    of_lead = {n: [r[1:4] for r in sorted(history) if r[0] == name_lead(n)] for n in (2, 10, 11, 9)}
    assert of_lead[2] == [], "created before the field was tracked"
    assert of_lead[11] == [("Status", "Open", START + timedelta(days=11))]
    assert ("Status", "Open", START + timedelta(days=10)) in of_lead[10], "not today's Nurturing"
    assert ("Rating", "3", START + timedelta(days=11)) in of_lead[9]
    check_page("salesforce", folder, monkeypatch, capsys)


def check_stages(events):
    """Check the events of leads with something odd."""

    def find(number, what):
        return [row[2:] for row in events if row[:2] == (name_lead(number), what)]

    def day(number, hour=10):
        return START + timedelta(days=number, hours=hour - 10)

    assert find(27, "stage Closed Won") == [(day(35), day(35), 9.5)]
    assert find(27, "stage Prospecting") == [(day(30), day(30), None)], "not again with the amount"
    assert find(27, "converted") == [(day(30), day(30), None)]
    assert find(30, "converted") == [(day(33, 0), day(34, 12), None)], "a date without a time"
    assert find(30, "stage Prospecting") == [(day(33), day(34, 12), None)]
    assert find(33, "stage Closed Won") == [(day(41), day(41), 9.5)], "not what was won before"
    assert find(36, "opportunity deleted") == [(day(44), day(44), None)]
    assert find(4, "deleted") == [(day(9), day(9), None)]
    assert find(13, "deleted") == [], "it was merged"


@needs_dlt
@pytest.mark.slow
@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_wrong_secret_is_refused_without_showing_it(crm, tmp_path):
    api = make_hubspot() if crm == "hubspot" else make_salesforce()
    wrong = {"HUBSPOT_TOKEN": "wrong-one-1", "SALESFORCE_CLIENT_SECRET": "wrong-one-1"}
    with serve(api) as address:
        done = run_script(crm, address, tmp_path / crm, **wrong)
        nothing = run_script(crm, address, tmp_path / crm, **dict.fromkeys(wrong, ""))
    assert done.returncode == 1
    assert "40" in done.stderr
    assert "wrong-one" not in done.stdout + done.stderr
    assert not list((tmp_path / crm).glob("*.parquet"))
    assert nothing.returncode == 1
    assert re.fullmatch(r"Set [A-Z_]+ in the environment\.\n", nothing.stderr)


def run_sql(crm, raw):
    """Run the statements of a CRM on raw tables; return the connection."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for name, (columns, rows) in raw.items():
        hints = ", ".join(f"{column} VARCHAR" for column in columns.split())
        database.execute(f"CREATE TABLE raw_{name} ({hints})")
        for row in rows:
            marks = ", ".join("?" for _ in row)
            database.execute(f"INSERT INTO raw_{name} VALUES ({marks})", row)
    database.execute((ROOT / "examples" / f"{crm}.sql").read_text("utf-8"))
    return database


def test_chain_of_merges_keeps_its_steps():
    """Contact 1 became 2, which became 3; the last one names both, and 2 was archived by it."""
    columns = "id created_at updated_at archived_at merged history contacts"

    def write_contact(number, updated, merged=None, archived=None):
        times = [write_time(1), write_time(updated), archived and write_time(archived)]
        return [str(number), *times, merged, "[]", "[]"]

    first, second = (int((START + timedelta(days=d)).timestamp() * 1000) for d in (10, 20))
    live = [
        write_contact(1, 1),
        write_contact(2, 4),
        write_contact(2, 10, f"1:{first}"),
        write_contact(3, 5),
        write_contact(3, 20, f"1:{first};2:{second}"),
        write_contact(4, 9),
    ]
    gone = [write_contact(2, 10, None, 20), write_contact(4, 9, None, 12)]
    raw = {"contacts": (columns, live), "archived_contacts": (columns, gone)}
    with run_sql("hubspot", {**raw, "deals": (columns, [])}) as database:
        merges = database.execute("SELECT * FROM merges ORDER BY old_id").fetchall()
        events = database.execute("SELECT lead, what, happened FROM events").fetchall()
        leads = database.execute("SELECT id, known FROM leads ORDER BY id").fetchall()
    days = {n: START + timedelta(days=n) for n in (1, 10, 12, 20)}
    assert merges == [("1", "2", days[10]), ("2", "3", days[20])]
    assert events == [("4", "archived", days[12])]
    assert leads == [(str(i), days[1]) for i in (1, 2, 3, 4)]


def test_salesforce_statements_read_the_raw_tables():
    """The events of odd leads from all rows of the server, as the script would have stored them."""
    api = make_salesforce()
    change_salesforce(api)
    raw = {}
    for table, rows in api.tables.items():
        name = {"Lead": "leads", "Opportunity": "opportunities"}.get(table)
        texts = [
            [v if v is None or isinstance(v, str) else json.dumps(v) for v in row.values()]
            for row in rows
        ]
        columns = " ".join(rows[0]).lower()
        raw[name or re.sub(r"(?<=.)([A-Z])", r"_\1", table).lower()] = (columns, texts)
    with run_sql("salesforce", raw) as database:
        check_stages(database.execute("SELECT * FROM events").fetchall())
        fields = database.execute("SELECT DISTINCT field FROM history ORDER BY ALL").fetchall()
    assert fields == [("Rating",), ("Status",), ("opportunity ForecastCategoryName",)]
