"""A year of nights with weekly decisions and three outages: the ledger, and the calibration.

Runs if LEADSCORE_BENCH_YEAR is the number of leads of the company, such as 6000, which takes an
hour.
"""

import os

import pytest

from tests.benchmarks.measure import run_module

LEADS = os.environ.get("LEADSCORE_BENCH_YEAR")


@pytest.mark.skipif(not LEADS, reason="set LEADSCORE_BENCH_YEAR=6000 to run it")
def test_year_of_nights(report):
    found = run_module("year", LEADS)
    _tell(found, report)
    assert found["gaps"] == []
    assert found["memory"]["last"] < 1.2 * found["memory"]["after 30 nights"]


def _tell(found, report):
    title = f"A year of {found['nights']} nights, {int(LEADS):,} leads"
    report.add(title, "nights without scores", "", str(len(found["gaps"])))
    report.add(
        title,
        "ledger rows",
        "",
        ", ".join(f"{name} {rows}" for name, rows in sorted(found["ledger"].items())),
    )
    promoted = sum(row["became"].startswith("version") for row in found["trained"])
    report.add(title, "trainings, promoted", "", f"{len(found['trained'])}, {promoted}")
    report.add(
        title,
        "seconds a night, median and most",
        "",
        "{median:.1f}, {most:.1f}".format(**found["seconds"]),
    )
    ends = found["memory"]
    report.add(
        title,
        "memory after 30 nights and at the end, GiB",
        "",
        f"{ends['after 30 nights']:.2f}, {ends['last']:.2f}",
    )
    for target, kinds in found["flaps"].items():
        for kind, each in kinds.items():
            title = "Grades that change and change back within 7 days"
            report.add(
                title,
                f"{target}, {kind}",
                "of the leads",
                f"{each['share']:.1%} of {each['leads']:,}",
            )
            report.add(
                title,
                f"{target}, {kind}",
                "of the leads' weeks",
                f"{each['weekly']:.2%} of {each['weeks']:,}",
            )
    for target, months in found["months"].items():
        for month, part in months.items():
            ratio = part["metrics"]["actual_to_expected"]
            row = f"{target} {month}"
            title = (
                "Realised against promised by month: the last night of each week, one row per lead"
            )
            report.add(title, row, "rows", f"{part['used']:,}")
            report.add(title, row, "expected", f"{part['expected']:.1f}")
            report.add(title, row, "happened", f"{part['actual']:,}")
            report.add(
                title,
                row,
                "happened / expected",
                f"{ratio['value']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})",
            )
