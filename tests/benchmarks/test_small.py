"""Skill of models by the size of the company; LEADSCORE_BENCH_SMALL companies of each size."""

import os

import numpy as np
import pytest

from tests.benchmarks.small import CHALLENGER, MODELS, PUBLISHED, main

COMPANIES = int(os.environ.get("LEADSCORE_BENCH_SMALL", 3))
# Companies that are trained whole, which takes six times as long.
WHOLE = int(os.environ.get("LEADSCORE_BENCH_SMALL_WHOLE", COMPANIES))


def format_skills(skills):
    """Return mean, lowest and number of the companies that have a model."""
    return f"{np.mean(skills):.3f} ({min(skills):.2f}) of {len(skills)}" if skills else "none"


@pytest.mark.parametrize("leads", [100, 300, 1_000, 3_000])
def test_small_companies(report, leads):
    title = "Skill by number of leads: mean (lowest) of simulated companies"
    for target, companies in main(leads, COMPANIES, WHOLE).items():
        for name in MODELS:
            skills = [skills[name] for skills in companies if name in skills]
            report.add(title, f"{target}, {leads:,} leads", name, format_skills(skills))
        for name in ("logistic", CHALLENGER, PUBLISHED):
            gain = [skills[name] - skills["base_rate"] for skills in companies if name in skills]
            # The tested rows are the same for all, so the noise is that of the drawn companies.
            if gain:
                assert np.mean(gain) > 2 * np.std(gain) / np.sqrt(len(gain)), name
