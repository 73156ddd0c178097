"""Records of the registry: what is logged of a training, and a registered version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Bytes of a file that are in memory while it is hashed.
HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class TrainingData:
    """The data of a training as MLflow shows it: no values and no addresses.

    Attributes:
        name: Name of the data set.
        digest: Hash of its content, at most 36 characters.
        sources: Name of the file or kind of database by source.
        columns: Name and kind of each column; a kind is one of MLflow's: string, double, long,
            datetime, boolean.
        rows: Number of rows by table.
    """

    name: str
    digest: str
    sources: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStart:
    """Tags and data of a training that are known when it starts.

    Attributes:
        tags: Tags of the run; those that are None are left out.
        data: Data that it reads.
    """

    tags: Mapping[str, str | None] = field(default_factory=dict)
    data: TrainingData | None = None


@dataclass(frozen=True)
class TrainingRecord:
    """Everything that is logged of one training.

    Attributes:
        scorer: Directory that ``Scorer.save`` wrote.
        params: Parameters of the run.
        metrics: Metrics of the run; those that are not finite are left out.
        tags: Tags of the run and of the version; those that are None are left out.
        texts: Text by file name; ``report.md`` is the run's description too.
        plots: Directory of plots.
        files: Directory of further files, logged under their own names.
        input_example: One row that the logged model accepts; see ``make_input_example``.
    """

    scorer: Path
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    plots: Path | None = None
    files: Path | None = None
    input_example: pd.DataFrame | None = None


@dataclass(frozen=True)
class RegisteredVersion:
    """One registered version of a target's model.

    Attributes:
        target: Name of the target.
        number: Version number.
        run_id: MLflow run that logged it.
        tags: Tags of its training record, and those that the registry set.
        aliases: Aliases, e.g. champion.
        artifacts: URI of the model's artifacts.
    """

    target: str
    number: int
    run_id: str
    tags: dict[str, str]
    aliases: tuple[str, ...]
    artifacts: str


def hash_directory(directory: Path) -> str:
    """Return the SHA-256 of all files of a directory.

    It covers names and contents, in the order of the names.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        size = path.stat().st_size
        # With the length, so that names and contents cannot be divided in two ways into one hash.
        digest.update(f"{path.relative_to(directory).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(HASHED_BYTES):
                digest.update(block)
    return digest.hexdigest()
