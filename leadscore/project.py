"""A company's project: its config, and what can be done with it from Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from configs.schema import Project, load_project
from serve.private_files import create_private_files

# Heavy libraries are imported inside the methods, so that ``import leadscore`` stays quick.
if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.lead.explain import Explanation
    from pipelines.results.data_check import DataCheck
    from pipelines.results.training import TargetTraining


def load(path: str | Path, log: Callable[[str], None] | None = None) -> LeadscoreProject:
    """Read a company's YAML and return its project; no data is read.

    ``log`` receives one line of progress at a time; without it nothing is logged. Raises
    ConfigError if the YAML is wrong.
    """
    return LeadscoreProject(load_project(path), log or _discard_line)


@dataclass(frozen=True)
class LeadscoreProject:
    """A company's project.

    Every ``as_of`` is an ISO date or instant, read in the config's time zone where it has no
    offset; None means the midnight after the last known row. Failures are LeadscoreError of
    ``configs.errors``, with the same text as on the command line.

    Attributes:
        config: The YAML as a frozen model.
        log: Receives one line of progress at a time.
    """

    config: Project
    log: Callable[[str], None] = field(repr=False)

    @create_private_files()
    def check(self, as_of: str | None = None) -> DataCheck:
        """Read the sources; return counts, quarantined rows, and what can be trained."""
        from pipelines.check import examine_data

        return examine_data(self.config, as_of)

    @create_private_files()
    def features(self, as_of: str | None = None, target: str | None = None) -> pa.Table:
        """Return the feature matrix at an as-of.

        One row for each known entity, or with ``target`` for each entity that this target would
        score: the columns ``entity_id`` and ``cutoff`` (UTC), then the features, float64 or text.
        ``.to_pandas()`` makes a data frame of it. The whole matrix is held in memory; write a large
        one with ``leadscore features``.
        """
        from pipelines.training.feature_matrix import build_feature_matrix

        return build_feature_matrix(self.config, as_of, target, self.log)

    @create_private_files()
    def train(
        self, as_of: str | None = None, targets: list[str] | None = None
    ) -> list[TargetTraining]:
        """Train a challenger for each target and promote those that pass the gate.

        Return one result for each target. The ``error`` of a result says why there is no new
        champion; its metrics are those of the challenger.
        """
        from pipelines.runner import Runner
        from pipelines.training.train import train_targets

        names = targets or list(self.config.targets)
        return train_targets(self.config, as_of, names, Runner(log=self.log))

    @create_private_files()
    def score(self, as_of: str | None = None, *, publish: bool = False) -> pa.Table:
        """Score the open leads with the champions and return one row for each target and lead.

        The columns are those of the scores table. With ``publish`` the scores are also checked,
        published and exported, as ``leadscore score`` does; a failing check raises NotFitToPublish.
        Without it no score is written, and checks are not enforced.
        """
        from pipelines.runner import Runner

        runner = Runner(log=self.log)
        if publish:
            from pipelines.nightly.night import score_night

            return score_night(self.config, as_of, runner).published.scores
        from pipelines.nightly.preview import preview_scores

        return preview_scores(self.config, as_of, runner)

    @create_private_files()
    def explain(self, entity_id: str, as_of: str | None = None) -> Explanation:
        """Return the published scores of one entity, newest as-of first, with reasons and history.

        Raises ConfigError if no score of it was published.
        """
        from pipelines.lead.explain import read_published_scores

        return read_published_scores(self.config, entity_id, as_of)


def _discard_line(_: str) -> None:
    """Drop a line of progress."""
