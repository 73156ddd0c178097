"""What `score`, `export`, `outcomes`, `forget`, `deploy --status` and `demo` print."""

from __future__ import annotations

from typing import Literal

from features.score_tables import DELIVERIES
from models.qualification.schemas import QUALIFICATION
from pipelines.json_output.shared import (
    EstimateJson,
    JsonObject,
    Metrics,
    RecommendationJson,
    SuppressedJson,
    create_row_model,
    make_instant,
    make_key,
)
from pipelines.json_output.training import TargetTrainingJson


class CheckResultJson(JsonObject):
    """A check before publication that warned."""

    check: str = make_key("name of the check")
    target: str = make_key("the target; empty if a source was checked")
    subject: str = make_key("source, feature or category; empty for a summary")
    observed: float | None = make_key("observed value, in the unit of the check")
    warn: float | None = make_key("value beyond which it warns")
    stop: float | None = make_key("value beyond which nothing is published")
    verdict: Literal["pass", "warn", "stop"] = make_key("its verdict")
    message: str | None = make_key("the finding in words")


class DeliveryJson(JsonObject):
    """A delivery to a CRM."""

    name: str = make_key("the export of the config")
    delivery: str = make_key("its id, the name of its folder")
    kind: str = make_key("full or delta")
    base: str | None = make_key("delivery that a delta is based on")
    rows: int = make_key("leads with a score")
    cleared: int = make_key("leads whose score is cleared")
    refused: int = make_key("leads whose id cannot be written safely")
    parts: int = make_key("number of files")
    folder: str = make_key("its folder")


class PublishedJson(JsonObject):
    """A published night, without its targets."""

    run_id: str = make_key("id of the run in the ledger")
    status: Literal["published"] = make_key("published")
    as_of: str = make_instant("the as-of")
    rows: int = make_key("published rows of all targets")
    accounts: int = make_key("account rows")
    tables: dict[str, int] = make_key("rows of each further table, such as the funnel")
    table_problems: dict[str, str] = make_key("why tables are missing, where they failed")
    suppressed: SuppressedJson = make_key("leads that were left out")
    checks: list[CheckResultJson] = make_key("checks that warned")


class ReportOutput(JsonObject):
    """Output of `report`."""

    page: str = make_key("path of the page")
    as_of: str = make_instant("the as-of of its scores")
    leads: int = make_key("leads that have a score")
    targets: list[str] = make_key("the scored targets")
    bytes: int = make_key("size of the file")


class BackfilledNightJson(PublishedJson):
    """A night that was published in a backfill."""

    targets: dict[str, int] = make_key("published rows by target")


class FailedNightJson(JsonObject):
    """A night that was not published in a backfill."""

    as_of: str = make_instant("the as-of")
    status: Literal["not published"] = make_key("not published")
    error: str = make_key("why")


class ScoreOutput(BackfilledNightJson):
    """The published night."""

    export: str = make_key("the CRM's file")
    page: str | None = make_key("the page next to it; null without one")
    page_problem: str | None = make_key("why the page could not be built; null if it was")
    deliveries: list[DeliveryJson] = make_key("deliveries to the CRMs of the config", default=[])


class GradeMoveJson(JsonObject):
    """Leads whose grade would change in the same way."""

    before: str = make_key("the published grade")
    after: str = make_key("the new grade")
    leads: int = make_key("number of leads")


class TargetChangeJson(JsonObject):
    """Differences of a target's scores to the newest published ones."""

    published: int = make_key("leads of the newest published night")
    new: int = make_key("leads that would be added")
    gone: int = make_key("leads that would no longer be there")
    grades: list[GradeMoveJson] = make_key("leads whose grade would change")


class DryRunOutput(JsonObject):
    """The night that would be published."""

    status: Literal["dry run"] = make_key("dry run")
    as_of: str = make_instant("the as-of")
    rows: int = make_key("rows of all targets")
    targets: dict[str, int] = make_key("rows by target")
    accounts: int = make_key("account rows")
    suppressed: SuppressedJson = make_key("leads that were left out")
    checks: list[CheckResultJson] = make_key("checks that warned")
    becomes_current: bool = make_key("whether the CRM's file would become that of this night")
    deliveries: list[str] = make_key("exports of the config that would be delivered")
    current_as_of: str | None = make_instant("the newest published as-of; null without one")
    changes: dict[str, TargetChangeJson] = make_key("differences to it by target")


class BackfillOutput(JsonObject):
    """The nights of a backfill."""

    nights: list[BackfilledNightJson | FailedNightJson] = make_key("each night, the earliest first")


class DeliveryOutput(DeliveryJson):
    """The delivery of an export of the config; for a plain file format nothing is printed."""


DeliveryRowJson = create_row_model(
    "DeliveryRowJson",
    "A row of the delivery ledger.",
    DELIVERIES,
    sequence=(int | None, make_key("its number on disk; null if it is removed")),
    kept=(bool, make_key("whether it is still on disk")),
)


DeliveryRows = list[DeliveryRowJson]  # type: ignore[valid-type]


class DeliveriesOutput(JsonObject):
    """The delivery ledger."""

    deliveries: DeliveryRows = make_key("the ledger, oldest first")


class ResultsFileJson(JsonObject):
    """A file of results that a CRM's loader returned."""

    file: str = make_key("the file")
    form: str = make_key("its form")
    name: str | None = make_key("the export; null for a file without rows")
    delivery: str | None = make_key("the delivery that was loaded")
    rows: int = make_key("its rows: loaded + failed + unprocessed + repeated + unknown")
    loaded: int = make_key("leads that the CRM loaded")
    failed: int = make_key("leads that the CRM rejected")
    unprocessed: int = make_key("leads that the CRM did not try")
    repeated: int = make_key("further rows of the same leads")
    unknown: int = make_key("rows that were not in the delivery; they are dropped")


class UnloadedLeadJson(JsonObject):
    """A lead whose newest result is not loaded."""

    name: str = make_key("the export")
    entity_id: str = make_key("the lead")
    status: Literal["failed", "unprocessed"] = make_key("its newest result")
    failures: int = make_key("how often it failed since it was loaded last")
    first_delivery: str = make_key("the first delivery that was not loaded since then")
    last_delivery: str = make_key("the newest one")
    message: str | None = make_key("the newest error of the CRM, without personal values")


class AcknowledgementOutput(JsonObject):
    """What was recorded from the results files of a CRM's loader."""

    files: list[ResultsFileJson] = make_key("each file")
    changed: int = make_key("results that are new or changed")
    unloaded: int = make_key("leads whose newest result is not loaded")
    leads: list[UnloadedLeadJson] = make_key("the first of them, the most failures first")


class RealisedValueJson(JsonObject):
    """Expected and actual value."""

    rows: int = make_key("rows with both")
    expected: float = make_key("sum of the expected values")
    actual: float = make_key("sum of the actual values")
    actual_to_expected: EstimateJson = make_key("their ratio")


class RealisedJson(JsonObject):
    """Realised outcomes of a part of the published rows; without a mature row only two keys."""

    used: int = make_key("mature rows")
    leads: int = make_key("distinct leads", default=0)
    leads_with_outcome: int = make_key("distinct leads with the outcome", default=0)
    expected: float = make_key("sum of the published probabilities", default=0.0)
    actual: int = make_key("rows with the outcome", default=0)
    too_small: bool = make_key("whether it has too few leads for metrics", default=False)
    value: RealisedValueJson | None = make_key("expected and actual value", default=None)
    metrics: Metrics = make_key("metrics by name", default={})
    immature: int = make_key("rows that are not mature yet", default=0)


class ComparisonJson(JsonObject):
    """A realised metric, and what the training expected."""

    promised: EstimateJson = make_key("at training, or the gate's limits")
    realised: EstimateJson = make_key("since then")
    difference: EstimateJson = make_key("their difference")
    kept: bool = make_key("whether the training recorded it")
    off: bool = make_key("whether it is worse than expected, beyond the uncertainty of both")


class VersionJson(RealisedJson):
    """Realised outcomes of one model version."""

    against_promise: dict[str, ComparisonJson] = make_key("by metric", default={})


class FollowedRowsJson(JsonObject):
    """Published rows: published = used + immature + unknown."""

    published: int = make_key("all rows")
    used: int = make_key("mature rows with a known outcome")
    immature: int = make_key("rows whose horizon has not passed")
    unknown: int = make_key("rows whose outcome will never be known")
    unknown_because: dict[str, int] = make_key("these by reason")


class GradeOrderJson(JsonObject):
    """A grade compared with the next one that was published."""

    better: str = make_key("the better grade")
    worse: str = make_key("the next grade")
    rates: list[float] = make_key("share of rows with the outcome of both")
    published: list[float] = make_key("mean published probability of both")
    difference: EstimateJson = make_key("rate of the better grade less that of the other")
    reversed: bool = make_key("whether the better grade has the lower rate")
    certain: bool = make_key("whether that is certain: the 99 % interval lies below 0")
    short: bool = make_key("whether the 99 % interval lies below the published difference")


HandoverRowJson = create_row_model(
    "HandoverRowJson", "What became of the hand-overs of a month and a grade.", QUALIFICATION
)
HandoverRows = list[HandoverRowJson]  # type: ignore[valid-type]


class TargetOutcomesJson(JsonObject):
    """Realised outcomes of one target."""

    as_of: str | None = make_instant("the as-of; null for data without times")
    observed: str | None = make_instant("the observation date")
    rows: FollowedRowsJson = make_key("published rows")
    nights_left_out: dict[str, int] = make_key("nights that are not followed, by reason")
    first_mature: str | None = make_instant("when the first row matures, if none has")
    all: RealisedJson | None = make_key("all rows")
    weeks: dict[str, RealisedJson] = make_key("by ISO week")
    months: dict[str, RealisedJson] = make_key("by calendar month of the as-of")
    grades: dict[str, RealisedJson] = make_key("by published grade")
    grade_order: list[GradeOrderJson] = make_key("each grade against the next")
    stages: dict[str, RealisedJson] = make_key("by stage")
    lists: dict[str, RealisedJson] = make_key("by weekly list")
    versions: dict[str, VersionJson] = make_key("by model version")
    without_promise: list[str] = make_key("versions that kept no metrics of their training")
    warnings: list[str] = make_key("lines for a person")
    champion: str | None = make_key("version of the champion")
    recommendation: RecommendationJson = make_key("whether to train again")
    handovers: HandoverRows = make_key(
        "what became of the leads that were handed over by this target's probability; empty where "
        "it is no step of the qualification"
    )


class OutcomesOutput(JsonObject):
    """Realised outcomes of published scores."""

    targets: dict[str, TargetOutcomesJson] = make_key("realised outcomes of each target")


class ForgetOutput(JsonObject):
    """Where an erased lead was found."""

    entity: str = make_key("the id")
    records: list[str] = make_key("ids of merged records, which are erased, too")
    suppressed: bool = make_key("whether it is kept in the list of suppressed leads")
    erased: dict[str, int] = make_key("rows by place; of former exports, the number of folders")
    left: list[str] = make_key("places that still name it, or may")


class AttemptJson(JsonObject):
    """A run of the ledger."""

    run_id: str = make_key("id of the run")
    as_of: str = make_instant("the as-of")
    status: str = make_key("started, published, refused, failed, killed or given up")
    started_at: str = make_instant("start")
    finished_at: str | None = make_instant("end; null if it has not ended")
    rows: int = make_key("published rows")
    message: str | None = make_key("why it was refused or failed")
    processor_seconds: float | None = make_key("processor time; null of a run without an end")
    peak_memory_bytes: int | None = make_key("most memory of its process")
    written_bytes: int | None = make_key("bytes given to the disk, where Linux counts them")


class DeploymentJson(JsonObject):
    """A Prefect deployment."""

    name: str = make_key("name of flow and deployment")
    exists: bool = make_key("whether the server has it")
    scheduled: bool = make_key("whether it has a cron line")
    paused: bool = make_key("whether its schedule is paused")
    due: str | None = make_instant("the next planned start")
    waiting: str | None = make_instant("the earliest start that has passed but not begun")
    running: str | None = make_instant("planned start of the running run")


class StatusOutput(JsonObject):
    """State of the nightly runs."""

    healthy: bool = make_key("whether there is no alarm")
    project: str | None = make_key("the project; null if the config cannot be read")
    config: str = make_key("path of the config")
    now: str = make_instant("when it was asked")
    last_good: AttemptJson | None = make_key("the run that published the newest as-of")
    since: list[AttemptJson] = make_key("attempts since then, the newest first")
    deployments: list[DeploymentJson] = make_key("Prefect deployments")
    alarms: list[str] = make_key("what is wrong")
    warnings: list[str] = make_key("what needs a person and is no alarm")
    notes: list[str] = make_key("what else there is to know")


class ExportOutput(JsonObject):
    """The CRM's file, written again."""

    export: str = make_key("path of the file")
    page: str | None = make_key("path of the page next to it; null without one")
    page_problem: str | None = make_key("why the page could not be built; null if it was")


class GivenUpOutput(JsonObject):
    """A missing night that is no longer reported."""

    given_up: str = make_instant("its as-of")


class OracleJson(JsonObject):
    """The true probabilities of the simulated company, on the model's out-of-time rows."""

    roc_auc: float = make_key("ROC AUC of the true probabilities")
    roc_auc_share: float = make_key("ROC AUC of the model divided by it")
    log_loss: float = make_key("log loss of the true probabilities")
    skill: float | None = make_key("share of what can be known that the model knows")
    mean: float = make_key("mean true probability")
    mean_predicted: float = make_key("mean predicted probability")
    outcome_rate: float = make_key("share of rows with the outcome")
    interval_holds: float = make_key("share of rows whose 90 % interval holds the truth")


class DemoTargetJson(TargetTrainingJson):
    """Training of one target of the demo, with its oracle and its scores."""

    oracle: OracleJson | None = make_key("metrics of the true probabilities", default=None)
    scored: int = make_key("scores that the night published", default=0)


class DemoOutput(PublishedJson):
    """The union of `train` and `score`, with the oracle of each target."""

    targets: dict[str, DemoTargetJson] = make_key("training and scores of each target")
    export: str = make_key("the CRM's file")
    page: str | None = make_key("the page next to it; null without one")
    page_problem: str | None = make_key("why the page could not be built; null if it was")
    deliveries: list[DeliveryJson] = make_key("deliveries to the CRMs of the config", default=[])


class RefusedDemoOutput(JsonObject):
    """After a training that was refused, when nothing is scored."""

    status: Literal["not published"] = make_key("not published")
    targets: dict[str, DemoTargetJson] = make_key("training of each target")


class ErrorOutput(JsonObject):
    """A failure before there is a result."""

    error: str = make_key("the error, as on standard error")
    exit_code: int = make_key("the exit code")
    what: str = make_key("the problem")
    where: str = make_key("file, config key or column that has it; empty if unknown")
    observed: str = make_key("observed count with an example; empty if unknown")
    fix: str = make_key("how to resolve it; empty if unknown")
