"""Print what a comparison and models find of planted buying committees, as two tables.

``python -m tests.benchmarks.committees [BLOCKS [SEED]]``: a block has 5,000 leads, which contacts
come on top of. Two blocks are the default.
"""

import sys

from pipelines.buying_group.roles import compare_roles
from pipelines.training.audit import drop_suspects
from pipelines.training_data import build_training_rows
from tests.pipelines.buying_group.companies import (
    load_committees,
    make_company,
    make_rare_law,
    put_column,
    take_snapshot,
)
from tests.pipelines.buying_group.models import (
    GROUP,
    compare_predictions,
    measure_auc,
    predict_rows,
)


def compare_models(project, data):
    """Yield the lines of the table of models, which predict the same rows out of time."""
    early = put_column(data, "available_at", data.leads["created_at"])
    honest, leaky = (take_snapshot(project, rows) for rows in (data, early))
    rows, leaky_rows = (build_training_rows(snapshot, "close") for snapshot in (honest, leaky))
    audited, _ = drop_suspects(leaky, "close", leaky_rows)
    cases = {
        "people count from known_at": (rows, ()),
        "without features of the group": (rows, GROUP),
        "without those of finance": (rows, ["account_role_finance_"]),
        "without those of IT": (rows, ["account_role_it_"]),
        "known_at is the date of creation": (leaky_rows, ()),
        "the same, after the audit": (audited, ()),
    }
    yield f"{rows.matrix.num_rows:,} rows"
    yield f"{'model':34}{'ROC AUC':26}gain in log loss to the first"
    first = None
    for name, case in cases.items():
        predicted = predict_rows(project, *case)
        first = predicted if first is None else first
        yield f"{name:34}{measure_auc(predicted)!s:26}{compare_predictions(predicted, first)!s}"


def compare_laws(project, blocks, seed):
    """Yield the lines of the table of roles, at the demo's rate of wins and where they are rare."""
    laws = {"odds ratio": None, "wins a seventh as often": make_rare_law()}
    tables = [
        compare_roles(take_snapshot(project, make_company(project, seed, blocks, law=law)), "close")
        for law in laws.values()
    ]
    yield f"{'role':34}" + "".join(f"{name:30}" for name in laws)
    for pair in zip(*(table.to_pylist() for table in tables), strict=True):
        yield f"{pair[0]['role']:34}" + "".join(f"{describe_ratio(row):30}" for row in pair)


def describe_ratio(row):
    """Return an odds ratio with its interval, and whether it is proven."""
    parts = [row[name] for name in ("odds_ratio", "odds_ratio_low", "odds_ratio_high")]
    if None in parts:
        return "nobody engaged"
    ratio, low, high = parts
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})" + (" proven" if row["proven"] else "")


def main():
    given = [int(text) for text in sys.argv[1:]]
    blocks, seed = [*given, *(2, 7)[len(given) :]]
    project = load_committees()
    for line in compare_laws(project, blocks, seed):
        sys.stdout.write(f"{line}\n")
    for line in compare_models(project, make_company(project, seed, blocks)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
