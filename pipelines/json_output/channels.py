"""What `channels` prints."""

from __future__ import annotations

from models.channels.path_result import PATH_BASIS, PATH_CREDITS
from models.channels.schemas import CHANNEL_BASIS, CHANNEL_STEPS, CHANNEL_WEEKS, CHANNELS
from pipelines.json_output.shared import JsonObject, create_row_model, make_key

ChannelJson = create_row_model("ChannelJson", "A channel in a period.", CHANNELS)
ChannelWeekJson = create_row_model("ChannelWeekJson", "A channel in a week.", CHANNEL_WEEKS)
ChannelStepJson = create_row_model("ChannelStepJson", "Steps between channels.", CHANNEL_STEPS)
ChannelBasisJson = create_row_model(
    "ChannelBasisJson", "What cost and credit rest on.", CHANNEL_BASIS
)


class ChannelsOutput(JsonObject):
    """Channels: cost, credit and the cost of customers."""

    channels: list[ChannelJson] = make_key(  # type: ignore[valid-type]
        "channels by period of the first touch"
    )
    weeks: list[ChannelWeekJson] = make_key("complete weekly grid")  # type: ignore[valid-type]
    steps: list[ChannelStepJson] = make_key(  # type: ignore[valid-type]
        "steps between start, channels, conversion and none"
    )
    basis: ChannelBasisJson = make_key("accounts, and settings")  # type: ignore[valid-type]


PathCreditJson = create_row_model("PathCreditJson", "A channel of the paths.", PATH_CREDITS)
PathBasisJson = create_row_model("PathBasisJson", "What these credits rest on.", PATH_BASIS)


class PathCreditsOutput(JsonObject):
    """Credits of a table of paths, without a config."""

    credits: list[PathCreditJson] = make_key(  # type: ignore[valid-type]
        "channels, the highest credit of the Markov chain first"
    )
    steps: list[ChannelStepJson] = make_key(  # type: ignore[valid-type]
        "steps between start, channels, conversion and none"
    )
    basis: PathBasisJson = make_key("paths and conversions")  # type: ignore[valid-type]
