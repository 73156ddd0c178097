"""Simulated companies with buying committees, as a snapshot of their clean rows."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa

from configs.schema import load_project
from features.contracts import EVENTS, Dataset
from features.left_out import LeftOutColumns
from features.names.roles import find_role
from pipelines.demo import COMMITTEES_PATH
from pipelines.simulated import company
from pipelines.simulated.committees import CommitteeLaw
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot

LAW = CommitteeLaw()
# No feature may come from these, or nothing but the demo's files has them.
HIDDEN = ["title", "email", "billing_contact", "owner"]


def make_rare_law():
    """Return the demo's law with a seventh of its wins: odds ratios are near rate ratios then."""
    law = company.build_demo_law()
    rates = law.exit_rate.copy()
    rates[1, 0] *= 0.15
    return law._replace(exit_rate=rates)


def load_committees():
    """Return the config of the demo with committees, with one window: models train faster."""
    project = load_project(COMMITTEES_PATH)
    days = {"windows": (timedelta(days=30),), "half_lives": (timedelta(days=14),)}
    return project.model_copy(update={"features": project.features.model_copy(update=days)})


def make_company(project, seed, blocks=1, leads=5_000, law=None):
    """Return the true rows of a company with committees as a Dataset."""
    made = [simulate_block(seed, number, leads, law, LAW) for number in range(blocks)]
    people = pa.concat_tables([block.leads for block in made]).sort_by("entity_id")
    titles = people["title"].to_pylist()
    roles = pa.array([find_role(title or "", project.accounts.roles) for title in titles])
    people = people.drop_columns(HIDDEN).append_column("role", roles)
    return Dataset(people, sort_events([block.events for block in made]), (), "committees")


def sort_events(tables):
    """Return events of several tables in the order of a Dataset."""
    events = pa.concat_tables([table.select(EVENTS.names) for table in tables])
    return events.sort_by([(name, "ascending") for name in EVENTS.names])


def put_column(dataset, name, values):
    """Return a dataset whose leads have other values in a column."""
    place, field = dataset.leads.column_names.index(name), dataset.leads.schema.field(name)
    leads = dataset.leads.set_column(place, field, values.cast(field.type))
    return replace(dataset, leads=leads)


def take_snapshot(project, dataset):
    """Return a snapshot at the end of the company, whose files do not exist."""
    snapshot = Snapshot(project, dataset, END, END, END)
    # The files are not read: nothing is left out of them.
    snapshot.__dict__["left_out"] = LeftOutColumns(dataset.leads.select([]))
    return snapshot
