"""A CRM that loads, rejects and skips rows, and whose results come late, twice and out of order."""

import random
from collections import Counter

import pytest

from configs.errors import LeadscoreError
from features.score_tables import FAILED, LOADED, UNPROCESSED
from serve.crm.acknowledge import acknowledge_files
from serve.crm.delivery import write_delivery
from serve.crm.stored_deliveries import list_stored_deliveries
from serve.store.store import Store
from tests.faults.conftest import is_full_attack
from tests.serve.crm.results import write_salesforce_results
from tests.serve.crm.samples import a_night, a_plan, rows
from tests.serve.crm.test_delivery import night
from tests.serve.samples import LATER

COLUMNS = {"S__c": "buy.score", "St__c": "status", "At__c": "as_of"}
CLEARED = ("#N/A", "cleared")
NIGHTS, CALM = (14 if is_full_attack() else 9), 2


class Crm:
    """What a CRM holds, what was sent to it, and the results that were acknowledged."""

    def __init__(self, generator):
        self.generator = generator
        self.held, self.sent, self.acknowledged = {}, {}, {}

    def load(self, delivered, is_calm):
        """Load a delivery and return the result of each row."""
        statuses = {}
        for row in rows(delivered):
            key, cells = row["Lead_External_Id__c"], (row["S__c"], row["St__c"])
            roll = 0 if is_calm else self.generator.random()
            statuses[key] = True if roll < 0.65 else "NO_WAY:no" if roll < 0.85 else False
            if statuses[key] is True:
                self.held[key] = cells
            self.sent[key] = (delivered.id, cells)
        return statuses

    def expect(self, leads):
        """Return the rows that the next delivery must hold: changed, or known as not loaded."""
        wanted = {key: (str(score), "scored") for key, (score, _, _) in leads.items()}
        wanted |= {key: CLEARED for key in self.sent if key not in leads}
        return {
            key: cells
            for key, cells in wanted.items()
            if self.sent.get(key, ("", None))[1] != cells
            or self.acknowledged.get((self.sent[key][0], key), True) is not True
        }


class Company:
    """Nights of a few leads, delivered to a CRM whose results come later."""

    def __init__(self, seed, folder):
        self.generator, self.folder = random.Random(seed), folder
        self.crm, self.store = Crm(self.generator), Store(folder / "scores.db")
        self.plan = a_plan("salesforce", columns=COLUMNS, delta=True)
        self.leads, self.pending = {"always": (5, "A", "")}, []
        self.counts = dict.fromkeys((LOADED, FAILED, UNPROCESSED, "sent again"), 0)

    def change_leads(self):
        for number in range(60):
            if self.generator.random() < 0.08:
                self.leads.pop(f"L{number:02}", None)
            elif self.generator.random() < 0.15:
                self.leads[f"L{number:02}"] = (self.generator.randint(1, 3), "A", "")

    def deliver(self, day):
        scores, run = a_night(night(day), self.leads, run_id=f"r{day}")
        results = self.store.results_of_unloaded("acme", "crm")
        return write_delivery(self.plan, scores, self.folder, run, LATER, results=results)

    def run_night(self, day, is_calm):
        """Deliver, load and acknowledge; a calm night loads all rows and acknowledges them now."""
        self.change_leads()
        expected, former = self.crm.expect(self.leads), dict(self.crm.sent)
        delivered = self.deliver(day)
        found = {r["Lead_External_Id__c"]: (r["S__c"], r["St__c"]) for r in rows(delivered)}
        assert found == expected, f"night {day}"
        assert not self.deliver(day).is_new, f"night {day}, repeated"
        statuses = self.crm.load(delivered, is_calm)
        for key, status in statuses.items():
            self.counts["sent again"] += former.get(key, ("", ""))[1] == found[key]
            self.counts[LOADED if status is True else FAILED if status else UNPROCESSED] += 1
        files = write_salesforce_results(self.folder, delivered, statuses)
        # More than six nights later the delivery would not be kept any more.
        due_on = day + (0 if is_calm else self.generator.randint(0, 4))
        self.pending.append((due_on, delivered.id, statuses, files))
        self.acknowledge_due(day, is_calm)

    def acknowledge_due(self, day, is_calm):
        due = [one for one in self.pending if one[0] <= day or is_calm]
        self.pending = [one for one in self.pending if one not in due]
        self.generator.shuffle(due)
        for _, name, statuses, paths in due:
            self.acknowledge(self.generator.sample(paths, len(paths)))
            self.crm.acknowledged |= {(name, key): status for key, status in statuses.items()}
            if self.generator.random() < 0.5:
                self.acknowledge(paths)

    def acknowledge(self, files):
        kept = list_stored_deliveries(self.folder / "exports" / "crm")
        for done in acknowledge_files(files, kept, None, LATER):
            self.store.record_results(done.results)


@pytest.mark.parametrize("seed", range(10 if is_full_attack() else 1))
def test_crm_ends_with_newest_content_and_gets_nothing_twice(seed, tmp_path, record_attack):
    company = Company(seed, tmp_path)
    for day in range(NIGHTS + CALM):
        company.run_night(day, is_calm=day >= NIGHTS)
    record_attack("rows of a CRM that loads, rejects and skips", company.counts)
    assert all(company.counts.values())
    held, leads = company.crm.held, company.leads
    wanted = {key: (str(score), "scored") for key, (score, _, _) in leads.items()}
    assert {key: held[key] for key in leads} == wanted
    assert {held[key] for key in held.keys() - leads.keys()} == {CLEARED}


def test_damaged_results_file_is_refused_or_read_row_by_row(tmp_path, record_attack):
    plan = a_plan("salesforce", columns=COLUMNS, delta=True)
    leads = {f"L{number:02}": (number, "A", "") for number in range(20)}
    scores, run = a_night(night(0), leads)
    delivered = write_delivery(plan, scores, tmp_path, run, LATER)
    statuses = {key: ("NO:“no”,\nno", False, True)[number % 3] for number, key in enumerate(leads)}
    files = write_salesforce_results(tmp_path, delivered, statuses)
    kept = list_stored_deliveries(tmp_path / "exports" / "crm")
    generator, outcomes = random.Random(7), Counter()
    for _ in range(3000 if is_full_attack() else 200):
        content = bytearray(generator.choice(files).read_bytes())
        for _ in range(generator.randint(1, 4)):
            damage_bytes(content, generator)
        (tmp_path / "damaged.csv").write_bytes(content)
        try:
            (done,) = acknowledge_files([tmp_path / "damaged.csv"], kept, None, LATER)
        except LeadscoreError as error:
            outcomes[f"refused ({error.exit_code})"] += 1
            continue
        outcomes["read"] += 1
        assert set(done.results["entity_id"].to_pylist()) <= set(leads)
        assert sum(done.counts.values()) + done.repeated + done.unknown == done.rows
    record_attack("damaged results of a CRM", outcomes)
    assert outcomes["read"] and outcomes["refused (3)"]


def damage_bytes(content, generator):
    """Cut, repeat, remove or replace a stretch of bytes."""
    begin = generator.randrange(len(content) + 1)
    stretch = content[begin : begin + generator.randint(0, 60)]
    kind = generator.randrange(4)
    if kind == 0:
        del content[begin:]
    elif kind == 1:
        content[begin:begin] = stretch
    elif kind == 2:
        del content[begin : begin + len(stretch)]
    else:
        content[begin : begin + 1] = generator.choice([b'"', b"\0", b"\r", b"\xff", b";", b"\n\n"])
