"""A made-up store of twelve nights, and in plain Python what each question of a dashboard gives.

Nights are as of midnight in Berlin, whose clock changes on 30 March. There are two targets, two
model versions, nights that were refused, failed or repeated, a second project in the same database,
and three leads that were suppressed at different times.
"""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from features.score_tables import DELIVERY_RESULTS, SCORE_CHECKS, SCORES
from features.suppressed import SUPPRESSED
from models.forecast.schemas import FORECAST
from models.funnel.schemas import FUNNEL, STUCK
from serve.night_tables import select_group, stamp_night_tables
from serve.run import Run
from tests.serve.samples import a_reason
from tests.serve.store.test_delivery_ledger import a_row

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DATES = ["03-03", "03-04", "03-10", "03-24", "03-31", "04-01"]
DATES += ["04-07", "04-21", "05-05", "05-26", "05-27", "05-28"]
NIGHTS = [datetime.strptime(f"2025-{d}", "%Y-%m-%d").replace(tzinfo=BERLIN) for d in DATES]
NIGHTS = [night.astimezone(UTC) for night in NIGHTS]
NEW_MODEL, REPEATED, LAST = 6, 9, 11
TARGETS = ("apply", "buy")
LEADS = [f"L{number:03d}" for number in range(1, 41)]
FIRST_NIGHTS = (0, 1, 2, 4, 6, 7, LAST)
# L005 is suppressed on the last night, L008 by a later run of an earlier night: both disappear.
HIDDEN = ("L005", "L008")
# L016 was suppressed on the nights 5 to 7 and is scored again since.
RETURNED, AWAY = "L016", range(5, 8)
HORIZON, COMPLETE = 30 * DAY, NIGHTS[NEW_MODEL] + 30 * DAY
REPEATED_LATE = 3 * DAY
RESULTS = [
    (1, "L001", "failed", "locked"),
    (2, "L001", "loaded", None),
    (1, "L002", "loaded", None),
    (2, "L002", "failed", "locked"),
    (2, "L003", "unprocessed", None),
    (2, "L005", "failed", "locked"),
    (1, "L016", "failed", "locked"),
]


def _draw_wins():
    """Return the outcomes of each lead: some twice, and some exactly at an edge of a horizon."""
    generator, wins = random.Random(3), {}
    for lead in LEADS[::2]:
        at = NIGHTS[generator.randrange(12)] + generator.randrange(25 * 86_400) * DAY / 86_400
        wins[lead] = [at, at + 9 * DAY] if generator.random() < 0.3 else [at]
    edges = {"L010": NIGHTS[2] + HORIZON, "L009": NIGHTS[1], "L015": NIGHTS[0] + HORIZON - HOUR / 2}
    del wins["L005"]
    return wins | {lead: [at] for lead, at in edges.items()}


WINS = _draw_wins()


def _write_reasons(lead, generator):
    for_it = [f"{lead}: “web” visit, it's {n}" for n in range(generator.randrange(5))]
    against = [f"only {n} calls" for n in range(generator.randrange(3))]
    reasons = [a_reason(0.5 - i / 10, text) for i, text in enumerate(for_it)]
    return json.dumps(reasons + [a_reason(-0.9, text) for text in against], ensure_ascii=False)


def _score_lead(target, lead, number, previous, generator):
    """Return a row of SCORES without its rank; ``previous`` is the lead's row of the last night."""
    as_of, chance = NIGHTS[number], generator.random() ** 1.5
    place = as_of.astimezone(BERLIN).isocalendar().week + int(lead[1:])
    score, owner = 1 + int(99 * chance), ["Anna", "Boris", None][int(lead[1:]) % 3]
    return dict.fromkeys(SCORES.names) | {
        "project": "acme",
        "target": target,
        "entity_id": lead,
        "account_id": f"acc{lead[-1]}",
        "as_of": as_of,
        "cutoff": as_of,
        "probability": chance,
        "probability_low": chance / 2,
        "probability_high": (1 + chance) / 2,
        "score": score,
        "grade": "DCBA"[int(4 * chance)],
        "percentile": 100 * chance,
        "expected_value": None if lead[-1] == "4" else 100 * chance,
        "reasons": _write_reasons(lead, generator),
        "evidence": "enough",
        "previous_score": previous and previous["score"],
        "previous_grade": previous and previous["grade"],
        "trend_7d": previous and score - previous["score"],
        "owner": "Boris" if lead == "L036" and number > 8 else owner,
        "listed": {0: "pick", 1: "pick", 2: "explore"}.get(place % 7),
        "review_at": None if lead[-1] == "7" else as_of + generator.randrange(-2, 3) * DAY,
        **_place_lead(lead, number),
        "model_version": "8" if number >= NEW_MODEL else "7",
        "run_id": f"r{number}b" if number == REPEATED else f"r{number}",
        "scored_at": as_of + 5 * HOUR + REPEATED_LATE * (number == REPEATED),
    }


def _place_lead(lead, number):
    """Return the place of a lead in the funnel; every fifth is closed for this target."""
    place = int(lead[1:])
    if place % 5 == 0:
        return {"stage": "won"}
    at = NIGHTS[number] + place % 9 * DAY + HOUR / 2
    return {
        "stage": ["new", "mql"][place % 2],
        "stage_age": place / 4,
        "stuck": None if place % 7 == 0 else place % 3 == 1,
        "overdue": place % 4 == 1,
        "expected_close_p50": None if place % 6 == 0 else at,
    }


def _is_left_out(lead, number):
    """Return whether the last publication of a night suppressed a lead."""
    is_hidden = (lead, number) in (("L005", LAST), ("L008", REPEATED))
    return is_hidden or (lead == RETURNED and number in AWAY)


def _score_nights():
    generator, nights, last = random.Random(12), [], {}
    for number, as_of in enumerate(NIGHTS):
        rows = []
        for target in TARGETS:
            scored = [
                _score_lead(target, lead, number, last.get((target, lead)), generator)
                for i, lead in enumerate(LEADS)
                if FIRST_NIGHTS[i % 7] <= number and not _is_left_out(lead, number)
                if not any(at < as_of for at in WINS.get(lead, []))
            ]
            scored.sort(key=lambda row: -row["probability"])
            rows += [row | {"rank": rank} for rank, row in enumerate(scored, 1)]
        last = {(row["target"], row["entity_id"]): row for row in rows}
        nights.append(rows)
    return nights


SCORED = _score_nights()


def _is_shown(row):
    lead = row["entity_id"]
    return lead not in HIDDEN and (lead != RETURNED or row["as_of"] > NIGHTS[AWAY[-1]])


def _shown_row(row):
    """Return a row with the columns that the page's views add."""
    night, reasons = row["as_of"].astimezone(BERLIN).date(), json.loads(row["reasons"])
    pro = [reason["sentence"] for reason in reasons if reason["contribution"] > 0] + 3 * [None]
    con = [reason["sentence"] for reason in reasons if reason["contribution"] < 0] + [None]
    return row | {
        "night": night.isoformat(),
        "week": (night - night.weekday() * DAY).isoformat(),
        "month": f"{night:%Y-%m}",
        "reason_1": pro[0],
        "reason_2": pro[1],
        "reason_3": pro[2],
        "against_1": con[0],
    }


SHOWN = [_shown_row(row) for rows in SCORED for row in rows if _is_shown(row)]
LATEST = [row for row in SHOWN if row["as_of"] == NIGHTS[LAST]]


def _fill_rows(schema, rows):
    """Return rows of a schema; counts that are left out are 0, other values missing."""
    empty = {f.name: None if f.nullable else 0 for f in schema}
    return pa.Table.from_pylist([empty | row for row in rows], schema)


def list_funnel(number):
    """Return the rows of a night's funnel: two stages, and one of them by owner."""
    rows = [
        {"segment_by": by, "segment": segment, "stage": stage, "entered": 100 * place + number}
        | {"open": 10 + number, "stuck": number % 4, "advanced_30d": 1 / (place + number + 2)}
        | {"median_days": None if number == 3 else 2.5 * place}
        for place, (by, segment, stage) in enumerate(
            [("all", "all", "new"), ("all", "all", "mql"), ("owner", "Anna", "mql")], 1
        )
    ]
    return [row | {"as_of": NIGHTS[number]} for row in rows]


def list_stuck(number, out):
    """Return the stuck leads of a night, without those that it left out."""
    return [
        {"entity_id": lead, "stage": ["mql", "new"][int(lead[1:]) % 2], "age_days": number + 0.5}
        | {"owner": ["Anna", "Boris", None][int(lead[1:]) // 3 % 3], "p80_days": 1.5}
        | {"value": None if lead[-1] == "1" else 10.0 * int(lead[1:])}
        for lead in LEADS[1::3]
        if lead not in out
    ]


def list_forecast(number):
    """Return the rows of a night's forecast: two months and the quarter of all, and an owner's."""
    night = NIGHTS[number].astimezone(BERLIN)
    first = datetime(2025, night.month, 1, tzinfo=BERLIN)
    begins = [datetime(2025, night.month + place, 1, tzinfo=BERLIN) for place in range(3)]
    quarter = datetime(2025, (night.month - 1) // 3 * 3 + 1, 1, tzinfo=BERLIN)
    end = datetime(2025, quarter.month + 3, 1, tzinfo=BERLIN)
    spans = [("month", begins[0], begins[1]), ("month", begins[1], begins[2])]
    spans += [("quarter", quarter, end)]
    rows = []
    for place, (period, start, stop) in enumerate(spans):
        for unit, scale in (("wins", 1.0), ("amount", 900.0)):
            for segment in ("all", "Anna") if period == "month" and start == first else ("all",):
                goal = None if unit == "wins" else (40 + 9 * place) * scale
                total = (30 + number + place) * scale
                rows.append(
                    {"period": period, "period_start": start, "period_end": stop, "unit": unit}
                    | {"segment": segment, "goal": goal, "won": number * scale}
                    | {"from_open_mean": 21 * scale, "from_new_mean": (9 + place) * scale}
                    | {"total_p10": total - 5, "total_mean": total, "total_p90": total + 7}
                    | {"p_goal": None if goal is None else 0.25 + number / 40}
                    | {"gap": None if goal is None else goal - total}
                    | {"needed_wins": None if goal is None else (goal - total) / scale}
                )
    return [row | {"as_of": NIGHTS[number]} for row in rows]


class Ledger:
    """Publishes the nights to a store, and keeps the rows that the ledger should have."""

    def __init__(self, store):
        self.store, self.runs, self.checks, self.deliveries = store, [], [], []

    def publish_early_nights(self):
        """Publish all nights but the last as they were at the time, and what failed between."""
        for number in range(LAST):
            rows = SCORED[number]
            if number == REPEATED:
                rows = [row | {"run_id": f"r{number}"} for row in rows]
                early = [row for row in SCORED[number - 1] if row["entity_id"] == "L008"]
                same = {name: rows[0][name] for name in ("as_of", "cutoff", "run_id")}
                rows += [row | same | {"rank": 99} for row in early]
            self._publish(number, rows, f"r{number}")
        # The failed night is later than all published ones.
        for days, status in ((2, "refused"), (25, "failed"), (5, "started")):
            run = self._start(f"x{days}", NIGHTS[8] + days * DAY, "8", status)
            if status == "refused":
                checks = [self._check(run, "buy", "stop"), self._check(run, "", "warn")]
                self._end(run, status, checks)
            elif status == "failed":
                self._end(run, status, [])
        other = Run("o1", "other", NIGHTS[LAST] + DAY, {"buy": "1"}, "1", "c", NIGHTS[LAST] + DAY)
        self.store.start(other)
        rows = [
            row | {"project": "other", "run_id": "o1", "as_of": other.as_of}
            for row in SCORED[8]
            if row["target"] == "buy"
        ]
        self.store.publish(pa.Table.from_pylist(rows, SCORES), "o1", other.as_of)
        self._deliver()

    def publish_last_night(self):
        """Publish the last night, then an earlier one again; each suppresses a lead."""
        self._publish(LAST, SCORED[LAST], f"r{LAST}")
        self._publish(REPEATED, SCORED[REPEATED], f"r{REPEATED}b", REPEATED_LATE)

    def _start(self, run_id, as_of, version, status, late=0 * DAY):
        models = dict.fromkeys(TARGETS, version)
        run = Run(run_id, "acme", as_of, models, "0.1.0", "c0ffee", as_of + 4 * HOUR + late)
        self.store.start(run)
        for target in TARGETS:
            row = {"run_id": run_id, "target": target, "as_of": as_of, "status": status}
            row |= {"rows": None, "model_version": version, "code_version": "0.1.0"}
            self.runs.append(row | {"started_at": run.started_at, "finished_at": None})
        return run

    def _publish(self, number, rows, run_id, late=0 * DAY):
        run = self._start(run_id, NIGHTS[number], rows[0]["model_version"], "published", late)
        finished_at = run.started_at + HOUR + number * timedelta(seconds=1.25)
        out = [lead for lead in LEADS if _is_left_out(lead, number)]
        # The first publication of the repeated night knew of no suppression.
        out = out if late or number != REPEATED else []
        checks = [self._check(run, "buy", "warn" if number in (2, 10) else "pass")]
        groups = [*select_group("funnel"), *select_group("forecast")]
        empty = {table.name: table.rows.empty_table() for table in groups}
        tables = empty | {
            "funnel": _fill_rows(FUNNEL, list_funnel(number)),
            "stuck": _fill_rows(STUCK, list_stuck(number, out)),
            "forecast": _fill_rows(FORECAST, list_forecast(number)),
        }
        self.store.publish(
            pa.Table.from_pylist(rows, SCORES),
            run_id,
            finished_at,
            tables=stamp_night_tables(tables, run),
            checks=pa.Table.from_pylist(checks, SCORE_CHECKS),
            suppressed=pa.table({"entity_id": out, "reason": ["list"] * len(out)}, SUPPRESSED),
        )
        for row in self.runs[-len(TARGETS) :]:
            row |= {"finished_at": finished_at}
            row["rows"] = sum(scored["target"] == row["target"] for scored in rows)

    def _end(self, run, status, checks):
        finished_at = run.started_at + HOUR / 2
        table = pa.Table.from_pylist(checks, SCORE_CHECKS)
        self.store.finish(run.run_id, status, "such as L005", finished_at, table)
        for row in self.runs[-len(TARGETS) :]:
            row |= {"finished_at": finished_at}

    def _check(self, run, target, verdict):
        row = {"run_id": run.run_id, "project": "acme", "target": target, "as_of": run.as_of}
        row |= {"check": "rows", "subject": "" if target else "events", "observed": 0.25}
        row |= {"warn": 0.1, "stop": None if verdict == "warn" else 0.2, "verdict": verdict}
        row |= {"message": "such as L005"}
        self.checks.append(row)
        return row

    def _deliver(self):
        for number in (1, 2):
            made_at = NIGHTS[8 + number] + 6 * HOUR
            row = a_row(f"d{number}", as_of=NIGHTS[8 + number], made_at=made_at, kind="full")
            row |= {"rows": 30, "cleared": number, "refused": 0, "parts": 1}
            of_delivery = [result for result in RESULTS if result[0] == number]
            table = [
                dict(zip(("entity_id", "status", "message"), result[1:], strict=True))
                | {"project": "acme", "name": "crm", "delivery": f"d{number}"}
                | {"sequence": number, "content": "scored", "acknowledged_at": made_at + HOUR}
                for result in of_delivery
            ]
            self.store.record_results(pa.Table.from_pylist(table, DELIVERY_RESULTS))
            self.store.record_delivery(row)
            counts = defaultdict(int)
            for result in of_delivery:
                counts[result[2]] += 1
            counts = {name: counts[name] for name in ("loaded", "failed", "unprocessed")}
            self.deliveries.append(row | counts)
        failed = a_row("r10", status="failed", made_at=NIGHTS[10] + 7 * HOUR, message="L005")
        self.store.record_delivery(failed)
        self.deliveries.append(failed)
