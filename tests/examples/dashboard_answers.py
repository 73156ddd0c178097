"""What each statement of docs/metabase.md gives on the made-up store, in plain Python."""

from collections import defaultdict

from tests.examples.dashboards import (
    BERLIN,
    COMPLETE,
    HIDDEN,
    HORIZON,
    HOUR,
    LAST,
    LATEST,
    NEW_MODEL,
    NIGHTS,
    RESULTS,
    RETURNED,
    SHOWN,
    WINS,
    list_forecast,
    list_funnel,
    list_stuck,
)


def take(row, names):
    return {name: row[name] for name in names.split()}


def of_target(rows, target="buy"):
    return [row for row in rows if row["target"] == target]


def by_owner(row):
    return row["owner"] is None, row["owner"] or ""


def group_rows(rows, *names):
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


LIST = "owner entity_id account_id score grade probability trend_7d reason_1 reason_2 against_1"


def expect_list(owners=("Anna",)):
    listed = [row for row in of_target(LATEST) if row["listed"] and row["owner"] in owners]
    listed.sort(key=lambda row: (by_owner(row), row["rank"]))
    return [take(row, f"{LIST} review_at") for row in listed]


def expect_changes(_):
    rows = []
    for row in of_target(LATEST):
        before, now = row["previous_grade"], row["grade"]
        if before is None:
            change = "new lead"
        else:
            change = "risen" if "DCBA".index(now) > "DCBA".index(before) else "fallen"
        if (now == "A" and before != "A") or (before and "DCBA".index(now) < "DCBA".index(before)):
            rows.append(row | {"change": change})
    rows.sort(key=lambda row: (row["change"], row["grade"], row["rank"]))
    assert len({row["change"] for row in rows}) == 3
    names = "change owner entity_id previous_grade grade previous_score score reason_1 against_1"
    return [take(row, names) for row in rows]


def expect_trend(_):
    names = "night as_of score grade probability probability_low probability_high model_version"
    rows = [row for row in of_target(SHOWN) if row["entity_id"] == "L012"]
    return [take(row, names) for row in sorted(rows, key=lambda row: row["as_of"])]


def expect_grades(_):
    groups = sorted(group_rows(of_target(SHOWN), "night", "grade").items())
    return [{"night": night, "grade": grade, "leads": len(rows)} for (night, grade), rows in groups]


def expect_means(_):
    result = []
    for (target, as_of), rows in sorted(group_rows(SHOWN, "target", "as_of").items()):
        total = sum(row["probability"] for row in rows)
        row = {"target": target} | take(rows[0], "night model_version") | {"leads": len(rows)}
        row |= {"mean_probability": total / len(rows), "expected": total}
        result.append(row | {"new_model": "model 8" if as_of == NIGHTS[NEW_MODEL] else None})
    return result


def with_night(row):
    return row | {"night": row["as_of"].astimezone(BERLIN).date().isoformat()}


def expect_nights(ledger):
    runs = sorted(ledger.runs, key=lambda row: row["target"])
    runs.sort(key=lambda row: row["started_at"], reverse=True)
    for row in map(with_night, runs):
        ended = row["finished_at"]
        row["seconds"] = (ended - row["started_at"]).total_seconds() if ended else None
        yield take(row, "night target status rows seconds model_version code_version started_at")


def expect_checks(ledger):
    runs = {row["run_id"]: row for row in ledger.runs}
    checks = [row for row in ledger.checks if row["verdict"] != "pass"]
    checks.sort(key=lambda row: (row["verdict"], row["check"], row["target"], row["subject"]))
    checks.sort(key=lambda row: runs[row["run_id"]]["started_at"], reverse=True)
    names = "night status target check subject verdict observed warn stop"
    for row in map(with_night, checks):
        yield take(row | {"status": runs[row["run_id"]]["status"]}, names)


def expect_calibration(part="month"):
    first = {}
    for row in sorted(of_target(SHOWN), key=lambda row: row["as_of"]):
        first.setdefault((row["entity_id"], row["month"]), row)
    mature = [row for row in first.values() if row["cutoff"] + HORIZON <= COMPLETE]
    for (name,), rows in sorted(group_rows(mature, part).items()):
        actual = sum(
            any(row["cutoff"] <= at < row["cutoff"] + HORIZON for at in WINS.get(lead, []))
            for row in rows
            for lead in [row["entity_id"]]
        )
        expected = sum(row["probability"] for row in rows)
        result = {part: name, "leads": len(rows), "expected": expected, "actual": actual}
        yield result | {"published": expected / len(rows), "happened": actual / len(rows)}


def expect_places(_):
    groups = group_rows([row for row in of_target(SHOWN) if row["listed"]], "week", "owner")
    rows = [
        {"week": week, "owner": owner}
        | {
            name: len({row["entity_id"] for row in rows if row["listed"] == kind})
            for name, kind in (("picked", "pick"), ("explored", "explore"))
        }
        for (week, owner), rows in groups.items()
    ]
    rows.sort(key=by_owner)
    return sorted(rows, key=lambda row: row["week"], reverse=True)


def expect_load(_):
    groups = group_rows(of_target(LATEST), "owner")
    for (owner,), rows in sorted(groups.items(), key=lambda item: by_owner({"owner": item[0][0]})):
        grades = [row["grade"] for row in rows]
        row = {"owner": owner, "leads": len(rows), "a": grades.count("A"), "b": grades.count("B")}
        row |= {"listed": sum(row["listed"] is not None for row in rows)}
        due = [row for row in rows if row["review_at"] and row["review_at"] <= row["as_of"]]
        row |= {"to_review": len(due), "expected": sum(row["probability"] for row in rows)}
        yield row | {"expected_value": sum(row["expected_value"] or 0.0 for row in rows)}


def expect_deliveries(ledger):
    names = "made_at name format status kind rows cleared refused loaded failed unprocessed"
    rows = sorted(ledger.deliveries, key=lambda row: row["made_at"], reverse=True)
    return [take(row, names) for row in rows]


def expect_not_loaded(ledger):
    newest = {lead: (number, status, error) for number, lead, status, error in sorted(RESULTS)}
    made_at = {row["delivery"]: row["made_at"] for row in ledger.deliveries}
    for lead, (number, status, error) in sorted(newest.items()):
        if status != "loaded" and lead not in (*HIDDEN, RETURNED):
            row = {"name": "crm", "entity_id": lead, "status": status, "message": error}
            row |= {"content": "scored", "delivery": f"d{number}"}
            yield row | {"acknowledged_at": made_at[f"d{number}"] + HOUR}


def expect_first_reasons(_):
    rows = sorted(of_target(LATEST), key=lambda row: row["entity_id"])
    return [{"entity_id": row["entity_id"], "first_reason": row["reason_1"]} for row in rows]


def expect_funnel(_):
    names = "stage entered open stuck advanced_30d"
    for number, as_of in enumerate(NIGHTS):
        for row in list_funnel(number):
            if row["segment_by"] == "all":
                night = {"night": as_of.astimezone(BERLIN).date().isoformat()}
                ends = dict.fromkeys(("advanced_30d_low", "advanced_30d_high"))
                yield night | take(row, names) | ends | take(row, "median_days")


def expect_stuck(_):
    rows = [row for row in list_stuck(LAST, ()) if row["entity_id"] not in HIDDEN]
    assert {row["entity_id"] for row in list_stuck(LAST, ())} > set(HIDDEN)
    groups = group_rows(rows, "owner", "stage")
    for (owner, stage), group in sorted(groups.items(), key=lambda g: (by_owner(g[1][0]), g[0][1])):
        values = [row["value"] for row in group if row["value"] is not None]
        yield {
            "owner": owner,
            "stage": stage,
            "leads": len(group),
            "value": sum(values) if values else None,
            "oldest_days": max(row["age_days"] for row in group),
        }


def expect_closing(_):
    """The current month of the last night ends four days later."""
    (end,) = {
        row["period_end"]
        for row in list_forecast(LAST)
        if row["period"] == "month" and row["period_start"] <= row["as_of"] < row["period_end"]
    }
    rows = [row for row in of_target(LATEST) if row["stage_age"] is not None]
    assert len(rows) < len(of_target(LATEST))
    groups = group_rows(rows, "owner")
    for (owner,), group in sorted(groups.items(), key=lambda item: by_owner({"owner": item[0][0]})):
        known = [row["expected_close_p50"] for row in group if row["expected_close_p50"]]
        assert 0 < sum(at < end for at in known) < len(group)
        yield {
            "owner": owner,
            "leads": len(group),
            "stuck": sum(row["stuck"] is True for row in group),
            "overdue": sum(row["overdue"] for row in group),
            "closing": sum(at < end for at in known),
            "earliest": min(known),
        }


def expect_forecast(_):
    names = "period won from_open_mean from_new_mean total_mean total_p10 total_p90 goal p_goal"
    for number in range(LAST + 1):
        for row in list_forecast(number):
            is_current = row["period_start"] <= row["as_of"] < row["period_end"]
            if row["segment"] == "all" and row["unit"] == "amount" and is_current:
                yield take(with_night(row), f"night {names} gap needed_wins")


EXPECTED = {
    "latest-list": lambda _: expect_list(),
    "first-reason": expect_first_reasons,
    "changes-of-grade": expect_changes,
    "trend-of-lead": expect_trend,
    "grades-by-night": expect_grades,
    "mean-probability": expect_means,
    "nights": expect_nights,
    "failed-checks": expect_checks,
    "calibration": lambda _: expect_calibration(),
    "places-by-week": expect_places,
    "owner-load": expect_load,
    "funnel-by-night": expect_funnel,
    "stuck-by-owner": expect_stuck,
    "closing-by-owner": expect_closing,
    "forecast-by-night": expect_forecast,
    "deliveries": expect_deliveries,
    "rows-not-loaded": expect_not_loaded,
}
"""Statements that are compared with the rows of plain Python."""
