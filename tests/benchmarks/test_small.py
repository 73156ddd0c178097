"""Skill of learners by the size of the company; LEADSCORE_BENCH_SMALL is the share of companies."""

import os

import numpy as np
import pytest

from tests.benchmarks.small import LEARNERS, main

# Simulated companies of each size.
COMPANIES = {100: 20, 300: 20, 1_000: 6, 3_000: 3}
SHARE = float(os.environ.get("LEADSCORE_BENCH_SMALL", 1))


@pytest.mark.parametrize("leads", COMPANIES)
def test_small_companies(report, leads):
    title = "Skill by number of leads: mean (lowest) of simulated companies"
    companies = max(2, round(SHARE * COMPANIES[leads]))
    for target, skills in main(leads, companies).items():
        row = f"{target}, {leads:,} leads, {companies} companies"
        for name in LEARNERS:
            report.add(title, row, name, f"{np.mean(skills[name]):.3f} ({min(skills[name]):.2f})")
        # Two standard errors of the mean difference: noise of the companies that were drawn.
        gain = np.subtract(skills["logistic"], skills["base_rate"])
        assert gain.mean() + 2 * gain.std() / np.sqrt(companies) > 0
