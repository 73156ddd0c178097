"""What `check`, `features`, `audit`, `train` and `backtest` print."""

from __future__ import annotations

from pipelines.json_output.shared import (
    EstimateJson,
    GateJson,
    JsonObject,
    Metrics,
    RecommendationJson,
    RowCountsJson,
    SliceJson,
    SuppressedJson,
    SuspectJson,
    make_instant,
    make_key,
)


class FormEntryJson(JsonObject):
    """One part of the form in which a source is written."""

    key: str = make_key("key of the source that sets it, such as encoding")
    column: str = make_key("column that it concerns; empty for all of the source")
    value: str = make_key("the part, as the config would write it")
    origin: str = make_key(
        "config; stated by the source; proven by its values; default; open where nothing depends "
        "on it"
    )
    evidence: str = make_key("file, row and text that show it; empty if there are none")


class SourceCountJson(JsonObject):
    """Rows of one source: rows_in = used + skipped + suppressed + all that are quarantined."""

    source: str = make_key("name of the source")
    rows_in: int = make_key("rows read")
    used: int = make_key("rows used")
    skipped: int = make_key("rows that the config declares not to be events")
    suppressed: int = make_key("rows of suppressed leads")
    moved: int = make_key("used rows of ids that were merged into another one")
    identified: int = make_key("used rows of web visitors, given to leads by sources.identities")
    anonymous: int = make_key("those of the skipped rows whose web visitor was never identified")
    quarantined: dict[str, int] = make_key("rows by reason of quarantine")
    warnings: list[str] = make_key("doubtful readings of the source")
    form: list[FormEntryJson] = make_key("form in which the source is written")


class TargetCheckJson(JsonObject):
    """Rows that a target could train on."""

    name: str = make_key("the target")
    rows: int = make_key("rows of the training spine")
    entities: int = make_key("distinct entities")
    mature: int = make_key("mature rows")
    positive: int = make_key("mature rows with the outcome")
    to_score: int = make_key("leads that would be scored")
    problem: str = make_key("why it cannot be trained; empty if it can")
    base_rate: float | None = make_key("share of mature rows with the outcome")


class CheckOutput(JsonObject):
    """What the data contains, and what each target could train on."""

    project: str = make_key("the project")
    as_of: str = make_instant("the as-of")
    observed: str = make_instant("the observation date")
    timed: bool = make_key("whether the data has times; without, instants only carry an order")
    entities: int = make_key("leads")
    accounts: int = make_key("distinct accounts")
    events: int = make_key("events")
    span: list[str] | None = make_key("first and last instant; null without times")
    types: dict[str, int] = make_key("events by type, the most frequent first")
    counts: list[SourceCountJson] = make_key("rows of each source")
    quarantine: str = make_key("folder of the quarantined rows")
    targets: dict[str, TargetCheckJson] = make_key("rows of each target")
    suppressed: SuppressedJson = make_key("suppressed leads")
    warnings: list[str] = make_key("limits of the data, and probable mistakes in the config")


class AblationTrialJson(JsonObject):
    """A training without, or with only, one family of features."""

    kept: str = make_key("what was kept: all, without, only or none")
    family: str | None = make_key("the family")
    features: int = make_key("features that were used")
    roc_auc: EstimateJson = make_key("ROC AUC")
    log_loss: EstimateJson = make_key("log loss")
    difference: EstimateJson = make_key("log loss minus that with all features")


class TargetAblationJson(JsonObject):
    """Ablation of one target."""

    rows: RowCountsJson = make_key("rows of the training")
    trials: list[AblationTrialJson] = make_key("the trials")


class AblationOutput(JsonObject):
    """Contribution of each family of features."""

    targets: dict[str, TargetAblationJson] = make_key("the trials of each target")


class AuditLimitJson(JsonObject):
    """What the audit of a target could not see."""

    target: str = make_key("the target")
    limit: str = make_key("what could not be seen")


class AuditOutput(JsonObject):
    """Columns that seem to leak the outcome."""

    suspects: list[SuspectJson] = make_key("suspected columns of all targets")
    limits: list[AuditLimitJson] = make_key("what could not be seen")


class SegmentModelJson(JsonObject):
    """The model of one segment, with `learning.segment_by`."""

    segment: str = make_key("value of the attribute, or in parentheses which leads these are")
    model: str = make_key("global, recalibrated or own")
    n: int = make_key("mature training rows")
    n_pos: int = make_key("those with the outcome")
    n_validation: int = make_key("rows of earlier test windows that the choice saw")
    n_pos_validation: int = make_key("those with the outcome")
    alternative: str | None = make_key("the model that gain is of; null if none was compared")
    gain: float | None = make_key("log loss of the global model minus that of the alternative")
    gain_low: float | None = make_key("its lower end, for all comparisons together")
    gain_high: float | None = make_key("its upper end, for all comparisons together")
    test_gain: float | None = make_key("gain of the chosen model in the last test window")
    test_gain_low: float | None = make_key("lower end of its 90 % interval")
    test_gain_high: float | None = make_key("upper end of its 90 % interval")
    why: str = make_key("why it has this model")


class TargetTrainingJson(JsonObject):
    """Training of one target."""

    rows: RowCountsJson | dict[str, int] = make_key("rows of the training; empty after an error")
    metrics: Metrics = make_key("out-of-time metrics of the challenger")
    baselines: dict[str, Metrics] = make_key("the same of each baseline")
    gate: GateJson = make_key("verdict of the gate")
    segment_models: list[SegmentModelJson] = make_key("model of each segment; empty without any")
    suspects: list[SuspectJson] = make_key("columns that are left out or allowed")
    version: int | None = make_key("registered version; null if none")
    mlflow_run_id: str | None = make_key("MLflow run that keeps report and predictions")
    report: str | None = make_key("path of the report, or its address on an MLflow server")
    error: str = make_key("why there is no new champion", default="")
    recommendation: RecommendationJson | None = make_key("with --if-needed", default=None)


class NotTrainedJson(JsonObject):
    """A target that `train --if-needed` did not train."""

    recommendation: RecommendationJson = make_key("why it needs no training")


class TrainOutput(JsonObject):
    """The training of each target; with `--if-needed` also why it was trained or not."""

    targets: dict[str, TargetTrainingJson | NotTrainedJson] = make_key("training of each target")


class FoldRowsJson(JsonObject):
    """Train or test rows of a fold."""

    from_: str = make_instant("first cutoff", alias="from")
    to: str = make_instant("last cutoff")
    rows: int = make_key("rows")
    entities: int = make_key("distinct entities")
    outcomes: int = make_key("rows with the outcome")


class FoldJson(SliceJson):
    """One rolling origin, and the metrics of its test rows."""

    fold: int = make_key("its number, from 1")
    train: FoldRowsJson = make_key("its train rows")
    test: FoldRowsJson = make_key("its test rows")


class ReliabilityBinJson(JsonObject):
    """Rows of similar probability."""

    predicted: float = make_key("mean predicted probability")
    observed: EstimateJson = make_key("share of rows with the outcome")


class TargetBacktestJson(JsonObject):
    """Backtest of one target; after an error only the first keys."""

    rows: RowCountsJson | dict[str, int] = make_key("rows of the training; empty after an error")
    metrics: Metrics = make_key("out-of-time metrics of the challenger")
    baselines: dict[str, Metrics] = make_key("the same of each baseline")
    gate: GateJson = make_key("verdict of the gate")
    learner: str = make_key("the learner", default="")
    segment_models: list[SegmentModelJson] = make_key(
        "model of each segment; empty without any", default=[]
    )
    unseen: dict[str, SliceJson] = make_key("entities and accounts new to their fold", default={})
    folds: list[FoldJson] = make_key("the rolling origins", default=[])
    segments: dict[str, dict[str, SliceJson]] = make_key("by attribute and value", default={})
    stages: dict[str, SliceJson] = make_key("by stage", default={})
    reliability: list[ReliabilityBinJson] = make_key("reliability by bin", default=[])
    error: str = make_key("why it could not be tested", default="")


class BacktestOutput(JsonObject):
    """The metrics of each target on the past, and what the gate would decide."""

    targets: dict[str, TargetBacktestJson] = make_key("backtest of each target")


class FeatureJson(JsonObject):
    """A feature of the catalogue."""

    name: str = make_key("the feature, a column of the matrix")
    family: str = make_key("its family")
    unit: str = make_key("unit of its values")
    meaning: str = make_key("what it is, in words")
    availability: str = make_key("when its value is known")


class CatalogOutput(JsonObject):
    """Every feature with its meaning."""

    features: list[FeatureJson] = make_key("the features, in the order of the matrix")


class MatrixOutput(JsonObject):
    """A feature matrix that was written."""

    file: str = make_key("its file")
    rows: int = make_key("its rows")
    features: int = make_key("its features")


class ChampionOutput(JsonObject):
    """The champion of a target from now on."""

    target: str = make_key("the target")
    champion: int | None = make_key("version of its champion; null for none")
