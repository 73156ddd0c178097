"""The feature matrix of a project as a pandas data frame.

usage: python examples/feature_matrix.py FOLDER

FOLDER is one that ``csv_to_export.py`` has filled.
"""

from __future__ import annotations

import sys
from pathlib import Path

import leadscore


def main(folder: Path) -> None:
    """Print the shape of the matrix, and what two months changed in one feature."""
    project = leadscore.load(folder / "company.yaml")

    # One row for each lead known before the as-of, with what was known before it and no more.
    autumn = project.features(as_of="2024-11-01").to_pandas()
    winter = project.features(as_of="2025-01-01").to_pandas()
    print(f"{autumn.shape[0]} leads in November, {winter.shape[0]} in January")
    print(f"{winter.shape[1] - 2} features, such as {', '.join(winter.columns[2:6])}")

    both = autumn.merge(winter, on="entity_id", suffixes=("_november", "_january"))
    print(both[["any_count_all_november", "any_count_all_january"]].describe().round(1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
