"""The column of the feature matrix by whose values models are chosen."""

from __future__ import annotations

from configs.errors import ConfigError
from configs.suggestions import did_you_mean
from pipelines.training.evaluation_rows import list_category_attributes
from pipelines.training_data import Snapshot

# Name in the config for the channel of a lead's first event, and the feature that holds it. An
# attribute of this name comes first.
CHANNEL, CHANNEL_FEATURE = "channel", "first_channel"


def find_segment_column(snapshot: Snapshot) -> str:
    """Return the feature of ``learning.segment_by``; empty where the config names none.

    Raises ConfigError for a name that is neither a category attribute of the data nor ``channel``.
    """
    project = snapshot.project
    column = project.learning.segment_by
    if column is None:
        return ""
    known = list_category_attributes(snapshot)
    events = snapshot.dataset.events
    has_channels = events["channel"].null_count < events.num_rows
    if column in known:
        return column
    if column == CHANNEL and has_channels:
        return CHANNEL_FEATURE
    choices = [*known, *([CHANNEL] if has_channels else [])]
    raise ConfigError(
        "models by segment need a category attribute",
        where=f"{project.path}: learning.segment_by",
        found=f"{column!r}; there are {', '.join(choices) or 'none'}",
        fix=did_you_mean(column, choices) or "name one of them, or leave it out",
    )
