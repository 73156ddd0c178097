"""Acceptance of all leads, from those that sales was given, against simulated habits of sales."""

import sys

import numpy as np

from tests.pipelines.qualification.simulated_sales import describe, holds, main, simulate_sales

COMPANIES = 80


def test_weighted_rate_recovers_the_truth_and_the_plain_rate_does_not():
    answered = [simulate_sales(seed) for seed in range(1, COMPANIES + 1)]
    sys.stdout.writelines(f"{' | '.join(describe(company))}\n" for company in answered[:5])
    weighted, plain = (
        np.mean([holds(company, name) for company in answered]) for name in ("rate_all", "rate")
    )
    error, plain_error = (
        np.mean([company.row[name] - company.truth for company in answered])
        for name in ("rate_all", "rate")
    )
    sys.stdout.write(
        f"interval holds the truth: weighted {weighted:.0%}, plain {plain:.0%}; "
        f"mean error: weighted {error:+.3f}, plain {plain_error:+.3f}\n"
    )
    # The interval is one of 90 %: of 80, fewer than 66 are seen in two of a hundred experiments.
    assert weighted >= 66 / 80
    assert plain == 0
    assert abs(error) < 0.02 < plain_error


def test_table_of_the_docs_has_a_line_for_each_company(capsys):
    main(2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| 1 | ")
