"""The channels of a night."""

from __future__ import annotations

from models.channels.result import ChannelResult
from pipelines.channels.channels import build_channels
from pipelines.customers.night import NightCustomers
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part

NightChannels = NightPart[ChannelResult]


def compute_night_channels(snapshot: Snapshot, customers: NightCustomers) -> NightChannels:
    """Return the channels of a night's data; nothing where the config describes none.

    The margin to come is that of the night's ``customers``, if there are any.
    """
    project = snapshot.project
    if project.channels is None or not project.publish.channels:
        return NightChannels()
    known = customers.result.tables.tables["customers"] if customers.result else None
    return compute_night_part(
        "channels",
        lambda: build_channels(snapshot, known),
        lambda result: result.tables.by_name(),
    )
