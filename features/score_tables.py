"""Schemas of the published tables: scores, run ledger, checks, suppressions and deliveries."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

# One row per (project, target, entity_id, as_of), ordered by (target, rank). A column added later
# must be nullable: it is added to existing tables too, whose rows lack it. A missing column that is
# not nullable makes a table one of another version.
SCORES = pa.schema(
    [
        make_field("project", pa.string(), "the project of the config"),
        make_field("target", pa.string(), "the target of the config"),
        make_field("entity_id", pa.string(), "the entity scored"),
        make_field("account_id", pa.string(), "its account", nullable=True),
        make_field("as_of", INSTANT, "the as-of of the scores"),
        make_field(
            "cutoff",
            INSTANT,
            "the instant that features look back from: the as-of, or the entity's own cutoff if "
            "the "
            "target scores once after entry",
        ),
        make_field(
            "probability",
            pa.float64(),
            "calibrated probability of the outcome within the horizon, 0 to 1",
        ),
        make_field("probability_low", pa.float64(), "lower end of the 90 % interval"),
        make_field("probability_high", pa.float64(), "upper end of the 90 % interval"),
        make_field(
            "score", pa.int64(), "1 to 100, a monotone map of the probability frozen with the model"
        ),
        make_field(
            "grade",
            pa.string(),
            "A to D by the score; rises immediately when the score exceeds the limit by more than "
            "publish.steady points (5), falls only after days of a lower score "
            "(docs/grades-and-lists.md)",
        ),
        make_field(
            "rank", pa.int64(), "1 is the most probable lead of this as-of; ties by entity_id"
        ),
        make_field(
            "percentile",
            pa.float64(),
            "percentage of this as-of's leads that are not more probable, 0 to 100",
        ),
        make_field(
            "amount",
            pa.float64(),
            "expected amount of the outcome if it occurs, in the amount's unit",
            nullable=True,
        ),
        make_field(
            "expected_value",
            pa.float64(),
            "probability times amount, in the amount's unit",
            nullable=True,
        ),
        make_field(
            "outcome_days_50",
            pa.float64(),
            "given an outcome within the horizon: median days from the cutoff to the outcome",
            nullable=True,
        ),
        make_field(
            "outcome_days_80", pa.float64(), "the same for the 80th percentile", nullable=True
        ),
        make_field(
            "reasons", pa.string(), "JSON list of feature, value, contribution (log-odds), sentence"
        ),
        make_field(
            "fit",
            pa.int64(),
            "1 to 100: attributes of the lead itself, relative to the training leads; null if no "
            "reasons are given",
            nullable=True,
        ),
        make_field(
            "engagement",
            pa.int64(),
            "1 to 100: activity of the lead and its account, relative to the training leads",
            nullable=True,
        ),
        make_field(
            "evidence",
            pa.string(),
            "enough; too little where nothing is known of the lead, or where its interval reaches "
            "from grade D to grade A",
        ),
        make_field("previous_score", pa.int64(), "score at the last earlier as-of", nullable=True),
        make_field("previous_grade", pa.string(), "grade at the last earlier as-of", nullable=True),
        make_field(
            "falling_since",
            INSTANT,
            "first night of the current run of nights whose score is too low for the kept grade",
            nullable=True,
        ),
        make_field("trend", pa.int64(), "score minus previous_score, in points", nullable=True),
        make_field(
            "trend_7d",
            pa.int64(),
            "score minus the score at the newest as-of 7 to 14 days before",
            nullable=True,
        ),
        make_field(
            "trend_30d",
            pa.int64(),
            "score minus the score at the newest as-of 30 to 60 days before",
            nullable=True,
        ),
        make_field(
            "owner",
            pa.string(),
            "sales person of the lead, if the config names the column",
            nullable=True,
        ),
        make_field(
            "listed",
            pa.string(),
            "pick or explore (drawn at random) for a lead on its owner's list of this week",
            nullable=True,
        ),
        make_field(
            "review_at",
            INSTANT,
            "day of the next review, kept until it is reached: midnight in the company's zone",
            nullable=True,
        ),
        make_field(
            "stage",
            pa.string(),
            "stage of the funnel that the lead is in, created before the first one; of a closed "
            "lead won, or the event that it was lost by",
            nullable=True,
        ),
        make_field(
            "stage_age", pa.float64(), "days that an open lead has been in its stage", nullable=True
        ),
        make_field(
            "stuck",
            pa.bool_(),
            "whether it has been there for longer than 80 % of those that move on stay",
            nullable=True,
        ),
        make_field(
            "expected_close_p20",
            INSTANT,
            "when 20 % of such open leads have been won, of those that are won eventually",
            nullable=True,
        ),
        make_field("expected_close_p50", INSTANT, "the same for half of them", nullable=True),
        make_field("expected_close_p80", INSTANT, "the same for 80 % of them", nullable=True),
        make_field(
            "overdue",
            pa.bool_(),
            "whether expected_close_p80, as computed for its entry into the stage, has passed",
            nullable=True,
        ),
        make_field(
            "qualification",
            pa.string(),
            "none, MQL (handed over to sales), SAL (accepted by sales) or SQL (sales-qualified); "
            "null for other targets than those of qualification",
            nullable=True,
        ),
        make_field(
            "qualified_at",
            INSTANT,
            "as-of since which it has this qualification, or since which it is back; null for "
            "none that was never handed over",
            nullable=True,
        ),
        make_field(
            "qualified_because",
            pa.string(),
            "probability (it reached the threshold), explore (drawn at random for the week's list) "
            "or accepted (by sales)",
            nullable=True,
        ),
        make_field(
            "handover_due",
            INSTANT,
            "until when sales is to touch it first (qualification.sla); null once it did",
            nullable=True,
        ),
        make_field(
            "recycle_reason",
            pa.string(),
            "why it went back last: rejected, returned, silent or cooled; null once it is handed "
            "over again",
            nullable=True,
        ),
        make_field(
            "handover_chance",
            pa.float64(),
            "on the night of its hand-over: the probability of being handed over, 1 above the "
            "threshold, else that of the draw",
            nullable=True,
        ),
        make_field(
            "cooling_since",
            INSTANT,
            "first night of the current run of nights whose score is too low for the state kept",
            nullable=True,
        ),
        make_field("model_version", pa.string(), "version of the registered model"),
        make_field("run_id", pa.string(), "the run that published it"),
        make_field("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)

# Columns of SCORES on a lead's place in the funnel. They are the same for every target.
FUNNEL_COLUMNS = (
    "stage",
    "stage_age",
    "stuck",
    "expected_close_p20",
    "expected_close_p50",
    "expected_close_p80",
    "overdue",
)

# Columns of SCORES on the hand-over of a lead to sales; null without ``qualification``.
QUALIFICATION_COLUMNS = (
    "qualification",
    "qualified_at",
    "qualified_because",
    "handover_due",
    "recycle_reason",
    "handover_chance",
    "cooling_since",
)
# Columns of ACCOUNT_SCORES on the people of an account. A person counts from when its lead row was
# known. It is engaged if it has an event, not a touch of ours (features.outbound), in the window.
_GROUP_FIELDS = (
    make_field(
        "roles_present",
        pa.string(),
        "roles of accounts.roles that its people known before the as-of have, in the config's "
        "order, separated by a comma and a blank; null if none",
        nullable=True,
    ),
    make_field("roles_missing", pa.string(), "the other roles, likewise", nullable=True),
    make_field(
        "engaged_people_30d",
        pa.int64(),
        "its people with an event of their own, no touch of ours, in [as-of − 30 days, as-of)",
        nullable=True,
    ),
    make_field(
        "new_people_14d",
        pa.int64(),
        "its people whose lead row became known in [as-of − 14 days, as-of)",
        nullable=True,
    ),
    make_field(
        "concentration",
        pa.float64(),
        "share of the most engaged person in the events that engaged_people_30d counts people by, "
        "0 to 1; null without such events",
        nullable=True,
    ),
    make_field(
        "single_threaded",
        pa.bool_(),
        "whether exactly one person of this account with an open entity is engaged",
        nullable=True,
    ),
    make_field(
        "who_next",
        pa.string(),
        "role that is not engaged here and, of those, raises the odds of the outcome most where it "
        "is; null if none is proven to, or all that are proven are engaged",
        nullable=True,
    ),
    make_field(
        "next_contact",
        pa.string(),
        "entity_id of a known person in the role who_next: the most probable one that is scored, "
        "else the one known last; null if nobody is known",
        nullable=True,
    ),
)
GROUP_COLUMNS = tuple(field.name for field in _GROUP_FIELDS)

# One row per (project, target, account_id, as_of), ordered by (target, rank). Entities without an
# account are not included.
ACCOUNT_SCORES = pa.schema(
    [
        make_field("project", pa.string(), "the project of the config"),
        make_field("target", pa.string(), "the target of the config"),
        make_field("account_id", pa.string(), "the account of the entities"),
        make_field("as_of", INSTANT, "the as-of of the scores"),
        make_field(
            "probability",
            pa.float64(),
            "probability that at least one of its scored entities has the outcome, 0 to 1",
        ),
        make_field(
            "rank", pa.int64(), "1 is the most probable account of this as-of; ties by account_id"
        ),
        make_field(
            "expected_value",
            pa.float64(),
            "sum over its scored entities with an expected value",
            nullable=True,
        ),
        make_field("entities", pa.int64(), "number of its scored entities"),
        make_field(
            "main_contact",
            pa.string(),
            "entity_id of its most probable scored entity; ties by entity_id",
        ),
        make_field("main_probability", pa.float64(), "probability of the main contact"),
        make_field(
            "people", pa.int64(), "number of its entities known before the as-of, scored or not"
        ),
        make_field(
            "active_people",
            pa.int64(),
            "number of these with an event in [as-of − 30 days, as-of)",
            nullable=True,
        ),
        *_GROUP_FIELDS,
        make_field("model_version", pa.string(), "version of the registered model"),
        make_field("run_id", pa.string(), "the run that published it"),
        make_field("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)

# The run ledger: one row per (run_id, target).
SCORE_RUNS = pa.schema(
    [
        make_field("run_id", pa.string(), "id of one attempt to publish"),
        make_field("project", pa.string(), "the project of the config"),
        make_field("target", pa.string(), "the target of the config"),
        make_field("as_of", INSTANT, "the as-of of the scores"),
        make_field("status", pa.string(), "started, published, refused, failed or given up"),
        make_field("model_version", pa.string(), "version of the registered model", nullable=True),
        make_field("code_version", pa.string(), "version of leadscore"),
        make_field("config_hash", pa.string(), "hash of the config as read"),
        make_field("data_fingerprint", pa.string(), "hash of the data as read", nullable=True),
        make_field("rows", pa.int64(), "rows published", nullable=True),
        make_field("driver", pa.string(), "direct or prefect"),
        make_field("flow_run_id", pa.string(), "Prefect's id of the flow run", nullable=True),
        make_field("started_at", INSTANT, "by the machine's clock"),
        make_field("finished_at", INSTANT, "by the machine's clock", nullable=True),
        make_field("message", pa.string(), "why it was refused or failed", nullable=True),
        make_field(
            "processor_seconds",
            pa.float64(),
            "processor time of the whole run; null until it has ended",
            nullable=True,
        ),
        make_field(
            "peak_memory_bytes", pa.int64(), "most memory of the process that ran it", nullable=True
        ),
        make_field(
            "written_bytes",
            pa.int64(),
            "bytes given to the disk, where Linux counts them",
            nullable=True,
        ),
    ]
)

# The checks of a run: one row per (run_id, target, check, subject).
SCORE_CHECKS = pa.schema(
    [
        make_field("run_id", pa.string(), "the ledger row that was checked"),
        make_field("project", pa.string(), "the project of the config"),
        make_field(
            "target", pa.string(), "the target of the config; empty if a source was checked"
        ),
        make_field("as_of", INSTANT, "the as-of of the scores"),
        make_field("check", pa.string(), "name of the check"),
        make_field(
            "subject",
            pa.string(),
            "source, column or event type checked; empty if the target itself was checked",
        ),
        make_field(
            "observed", pa.float64(), "observed value, in the unit of the check", nullable=True
        ),
        make_field("warn", pa.float64(), "threshold of a warning", nullable=True),
        make_field(
            "stop", pa.float64(), "threshold beyond which nothing is published", nullable=True
        ),
        make_field("verdict", pa.string(), "pass, warn or stop"),
        make_field("message", pa.string(), "description of the problem", nullable=True),
    ]
)

# Entities left out of published nights: one row per (project, entity_id, reason).
SUPPRESSIONS = pa.schema(
    [
        make_field("project", pa.string(), "the project of the config"),
        make_field("entity_id", pa.string(), "the suppressed entity"),
        make_field("reason", pa.string(), "config key that suppresses it, or forget"),
        make_field("first_as_of", INSTANT, "as-of of the first night that suppressed it"),
        make_field("first_run_id", pa.string(), "run of that night"),
        make_field("last_as_of", INSTANT, "as-of of the newest night that suppressed it"),
        make_field("last_run_id", pa.string(), "run of that night"),
        make_field(
            "noted_at",
            INSTANT,
            "start of the latest run that suppressed it, regardless of its as-of",
            nullable=True,
        ),
    ]
)

# The delivery ledger: one row per (project, name, delivery).
DELIVERIES = pa.schema(
    [
        make_field("project", pa.string(), "the project of the config"),
        make_field("name", pa.string(), "the export of the config"),
        make_field(
            "delivery",
            pa.string(),
            "id of the delivery, the name of its folder; for a failed one the id of the run",
        ),
        make_field("format", pa.string(), "file format, such as salesforce"),
        make_field("as_of", INSTANT, "the as-of of the scores"),
        make_field("run_id", pa.string(), "the run that published the scores"),
        make_field("status", pa.string(), "delivered or failed"),
        make_field("kind", pa.string(), "full or delta", nullable=True),
        make_field("base", pa.string(), "delivery that a delta is based on", nullable=True),
        make_field("rows", pa.int64(), "number of leads with a score", nullable=True),
        make_field("cleared", pa.int64(), "number of leads whose score is cleared", nullable=True),
        make_field(
            "refused",
            pa.int64(),
            "number of leads left out because their id cannot be written safely",
            nullable=True,
        ),
        make_field("parts", pa.int64(), "number of files", nullable=True),
        make_field(
            "manifest_sha256",
            pa.string(),
            "hash of its manifest as delivered",
            nullable=True,
        ),
        make_field("made_at", INSTANT, "by the machine's clock"),
        make_field("message", pa.string(), "why it failed", nullable=True),
        make_field("loaded", pa.int64(), "rows that the CRM acknowledged", nullable=True),
        make_field("failed", pa.int64(), "rows that the CRM rejected", nullable=True),
        make_field("unprocessed", pa.int64(), "rows that the CRM did not try", nullable=True),
        make_field(
            "acknowledged_at",
            INSTANT,
            "time of the newest of these results; null if it was never acknowledged",
            nullable=True,
        ),
    ]
)

# Status of a delivered row; of two results of one row in one delivery the earlier of these holds.
LOADED, FAILED, UNPROCESSED = RESULT_STATUSES = ("loaded", "failed", "unprocessed")

# What a CRM did with delivered rows: one row per (project, name, delivery, entity_id).
DELIVERY_RESULTS = pa.schema(
    [
        make_field("project", pa.string(), "the project of the config"),
        make_field("name", pa.string(), "the export of the config"),
        make_field("delivery", pa.string(), "id of the delivery"),
        make_field("sequence", pa.int64(), "its number within the export"),
        make_field("entity_id", pa.string(), "the lead"),
        make_field("content", pa.string(), "scored, or cleared if the row clears the lead"),
        make_field("status", pa.string(), ", ".join(RESULT_STATUSES)),
        make_field(
            "message",
            pa.string(),
            "error of the CRM, shortened, without personal values",
            nullable=True,
        ),
        make_field("acknowledged_at", INSTANT, "by the machine's clock"),
    ]
)
