"""What `explain` prints."""

from __future__ import annotations

from features.score_tables import SCORES, SUPPRESSIONS
from pipelines.json_output.shared import (
    JsonObject,
    ReasonJson,
    create_row_model,
    make_instant,
    make_key,
)

ScoreRowJson = create_row_model(
    "ScoreRowJson",
    "A row of the scores table, with its reasons as objects.",
    SCORES,
    reasons=(list[ReasonJson], make_key("reasons for and against the score")),
)
SuppressionRowJson = create_row_model(
    "SuppressionRowJson", "A row of the table of suppressed leads.", SUPPRESSIONS
)
ScoreRows = list[ScoreRowJson]  # type: ignore[valid-type]
SuppressionRows = list[SuppressionRowJson]  # type: ignore[valid-type]


class FeatureValueJson(JsonObject):
    """A feature of a replayed score."""

    feature: str = make_key("the feature")
    value: float | str | None = make_key("its value")
    sentence: str = make_key("the value in words")
    contribution: float = make_key("contribution to the log-odds")
    points: float = make_key("percentage points that the lead would lose without it")


class ReplayJson(JsonObject):
    """A published score computed again from the data available then."""

    predicted: dict[str, float | str | None] = make_key("columns of the score as predicted now")
    reproduced: bool = make_key("whether all of them equal the published ones")
    base: float = make_key("base value of the model, in log-odds")
    total: float = make_key("base value plus all contributions, in log-odds")
    features: list[FeatureValueJson] = make_key("every feature, the strongest first")
    reasons: list[ReasonJson] = make_key("reasons, grouped as in published scores")


class EvidenceJson(JsonObject):
    """An input of a published score, then and now."""

    published: str | None = make_key("as the run ledger has it")
    now: str | None = make_key("as it is now")


class EffectJson(JsonObject):
    """Effect of one cause on a score."""

    points: int = make_key("difference of the score")
    probability: float = make_key("difference of the probability")


class ChangedAttributeJson(JsonObject):
    """An attribute whose value has changed."""

    attribute: str = make_key("the attribute")
    before: str | None = make_key("its value before, as written")
    after: str | None = make_key("its value after")


class NewInformationJson(JsonObject):
    """Rows that became available between two scores."""

    events: dict[str, int] = make_key("events of the lead, by type")
    late: dict[str, int] = make_key("those of them that happened before the earlier as-of")
    others: dict[str, int] = make_key("events of the other leads at its account, by type")
    attributes: list[ChangedAttributeJson] = make_key("changed attributes")


class ScoreChangeJson(JsonObject):
    """Change since the lead's last earlier score."""

    since: str = make_instant("as-of of the earlier score")
    nights_without: int = make_key("published nights between without a score of the lead")
    score: list[int] = make_key("earlier and later score")
    probability: list[float] = make_key("earlier and later probability")
    model_version: list[str] = make_key("earlier and later model version")
    moved: bool = make_key("whether the two have different cutoffs")
    parts: dict[str, EffectJson] = make_key("effect by cause: lead, others, time, model, data")
    happened: NewInformationJson = make_key("what became known between the two")


class TraceJson(JsonObject):
    """Replay of a score, and its change."""

    replay: ReplayJson | None = make_key("the score computed again; null if that is impossible")
    differences: list[str] = make_key("how the replay differs from the published score")
    evidence: dict[str, EvidenceJson] = make_key("config_hash, code_version and data_fingerprint")
    first: bool = make_key("whether there is no earlier score")
    change: ScoreChangeJson | None = make_key("change since the last earlier score")
    missing: list[str] = make_key("why there is no replay, or no change")
    standing: list[str] = make_key("why it is scored or not, if it ended or came back")


class ExplainOutput(JsonObject):
    """Published scores of one lead, their replay and their change."""

    entity: str = make_key("the id")
    now: ScoreRows = make_key("the newest score of each target")
    history: ScoreRows = make_key("all scores, by target, oldest first")
    when: dict[str, str] = make_key("by target, when the outcome comes if it comes")
    trace: dict[str, TraceJson] = make_key("by target; empty with --published")
    suppressed: SuppressionRows = make_key("why it is no longer scored")
