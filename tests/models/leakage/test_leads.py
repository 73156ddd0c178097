"""Rules that compare with the leads to score and with other dates."""

import numpy as np
import pyarrow as pa
import pytest

from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.leakage.origins import ColumnOrigins, LeadColumns
from models.leakage.suspects import find_suspects

N, AS_OF = 4_000, 20_000.0


class Funnel:
    """Leads of two years, of which a share has a label; the rest is open."""

    def __init__(self, seed=0, labelled=0.6):
        self.random = np.random.default_rng(seed)
        self.created = np.sort(AS_OF - 730 + 730 * self.random.random(N))
        self.closed = self.random.random(N) < labelled
        self.label = (self.random.random(N) < 0.2).astype(np.int8)
        self.columns = {"noise": self.random.normal(size=N)}
        self.dates = frozenset()
        self.as_of = AS_OF

    def suspects(self, **changes):
        rows = np.flatnonzero(self.closed)
        cutoff_us = ((self.created[rows] + 1 / 24) * US_PER_DAY).astype(np.int64)
        spine = {
            "entity_id": [f"lead-{i}" for i in rows],
            "cutoff": pa.array(cutoff_us).cast(INSTANT),
        }
        truth = {
            "mature": pa.array(np.ones(len(rows), bool)),
            "label": pa.array(self.label[rows]),
            "outcome_at": pa.nulls(len(rows), INSTANT),
        }
        labels = pa.table({**spine, **truth}).cast(LABELS)
        table = pa.table(
            {
                name: pa.array(values, from_pandas=values.dtype != object)
                for name, values in self.columns.items()
            }
        )
        leads = LeadColumns(
            table,
            rows,
            np.flatnonzero(~self.closed),
            (self.created * US_PER_DAY).astype(np.int64),
            self.created,
            self.as_of,
            self.dates,
        )
        matrix = pa.table(spine)
        for name in table.column_names:
            matrix = matrix.append_column(name, table[name].take(pa.array(rows)))
        origins = ColumnOrigins(**({"current": {n: n for n in table.column_names}} | changes))
        return find_suspects(
            matrix, labels, "win", ColumnOrigins(**{**vars(origins), "leads": leads})
        )

    def suspect_names(self, **changes):
        return [suspect.column for suspect in self.suspects(**changes)]

    def fill(self, share):
        """Return a column that is filled with this share (of each lead) and says nothing else."""
        return np.where(self.random.random(N) < share, self.random.normal(size=N), np.nan)


@pytest.mark.parametrize("ordered", [True, False])
def test_column_filled_when_a_lead_is_worked_is_named(ordered):
    funnel = Funnel()
    funnel.columns["budget"] = funnel.fill(np.where(funnel.closed, 0.996, 0.4))
    (suspect,) = funnel.suspects(ordered=ordered)
    assert suspect.column == "budget"
    assert "filled in 99" in suspect.evidence and "leads to score" in suspect.evidence
    assert ("of the same age" in suspect.evidence) == ordered


def test_fields_of_a_form_are_not_named():
    funnel = Funnel()
    funnel.columns |= {
        "job": funnel.fill(np.where(funnel.closed, 0.8, 0.6)),
        "phone": funnel.fill(np.where(funnel.closed, 0.95, 0.85)),
        "fax": funnel.fill(np.where(funnel.closed, 0.06, 0.01)),
    }
    assert funnel.suspect_names() == []


def test_value_that_changes_when_a_lead_is_worked_is_named():
    funnel = Funnel()
    untouched = funnel.random.random(N) < np.where(funnel.closed, 0.004, 0.6)
    source = np.where(funnel.random.random(N) < np.where(funnel.closed, 0.2, 0.6), "list", "web")
    recent = funnel.created > AS_OF - 100
    funnel.columns |= {
        "calls": np.where(untouched, 0, 1 + funnel.random.poisson(2, N)).astype(float),
        "status": np.where(untouched, "new", funnel.random.choice(["met", "called"], N)).astype(
            object
        ),
        "source": source.astype(object),
        "campaign": np.where(recent, "spring", "winter").astype(object),
    }
    assert funnel.suspect_names() == ["calls", "status"]
    assert "it changes as a lead is worked" in funnel.suspects()[0].evidence
    assert funnel.suspect_names(ordered=False) == []


def test_column_new_in_the_source_is_not_named():
    # Most leads with a label are old, most open ones young: the shares differ by age alone.
    funnel = Funnel(labelled=np.linspace(0.95, 0.05, N))
    recent = funnel.created > AS_OF - 200
    funnel.columns["consent"] = funnel.fill(np.where(recent, 0.97, 0.0))
    assert funnel.suspect_names() == []
    # Of the same age, and of another.
    funnel.columns["budget"] = funnel.fill(np.where(funnel.closed, 0.98, 0.3))
    assert funnel.suspect_names() == ["budget"]


def test_fewer_than_ten_outcomes_do_not_hide_a_column_filled_by_work():
    funnel = Funnel()
    funnel.label[:] = 0
    funnel.columns["budget"] = funnel.fill(np.where(funnel.closed, 0.996, 0.4))
    assert funnel.suspect_names() == ["budget"]


def test_dates_after_the_cutoff_are_named_unless_planned():
    funnel = Funnel()
    later = funnel.created + funnel.random.exponential(60, N)
    funnel.columns |= {
        "closed on": np.where(later < AS_OF, np.floor(later), np.nan),
        "last visit": np.floor(np.minimum(later, AS_OF - 1)),
        "end of the trial": np.floor(funnel.created + 14),
        "fair": np.floor(later),
        "born": np.floor(funnel.random.normal(5_000, 3_000, N)),
        "known since": np.floor(funnel.created - funnel.random.exponential(50, N)),
    }
    funnel.dates = frozenset(funnel.columns) - {"noise"}
    found = {suspect.column: suspect.evidence for suspect in funnel.suspects()}
    assert set(found) == {"closed on", "last visit"}
    assert "after the row's cutoff" in found["closed on"]


def test_difference_of_dates_that_decides_is_named():
    funnel = Funnel()
    funnel.closed[:] = True
    first = funnel.created - 100 + 50 * funnel.random.random(N)
    won = funnel.label == 1
    second = first + np.where(won, 2, 30) + funnel.random.random(N)
    funnel.columns |= {"status": np.floor(first), "status before": np.floor(second)}
    funnel.dates = frozenset({"status", "status before"})
    (suspect,) = funnel.suspects()
    assert suspect.column == "status before"
    assert "its distance from status alone reduces the log loss" in suspect.evidence
    # The config leaves the other one out, so it is the one that is not known in time.
    kept = {name: name for name in funnel.columns if name != "status"}
    assert funnel.suspect_names(current=kept) == ["status"]
    funnel.dates = frozenset()
    assert funnel.suspect_names() == []


def test_distance_from_creation_that_decides_is_named():
    funnel = Funnel()
    funnel.closed[:] = True
    days = np.where(funnel.label == 1, 3, 40) + 3 * funnel.random.random(N)
    funnel.columns["stage since"] = np.floor(funnel.created - days)
    funnel.dates = frozenset({"stage since"})
    assert funnel.suspect_names() == ["stage since"]
