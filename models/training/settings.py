"""Settings of one training, and the learners that it tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from configs.learning import EvaluationConfig, Learning
from features.tools.instants import duration_to_microseconds, to_microseconds
from models.learners.base_rate import BaseRate
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes
from models.learners.protocol import Model
from models.learners.target_encoding import TargetEncodedTrees
from models.scorer_metadata import ScorerMetadata

# The first is the default: another replaces it only if it is better beyond noise.
CANDIDATES: tuple[type[Model], ...] = (LightGbm, Hazard, Logistic, Blend, TargetEncodedTrees)
# Reported next to the candidates as they are: never calibrated, never chosen.
BASELINES: tuple[type[Model], ...] = (NaiveBayes, BaseRate)
# Fewest rows of each class that models are fitted on.
MIN_CLASS_ROWS = 2


def discard_message(message: str) -> None:
    """Do nothing with a progress message."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training, apart from the data.

    Attributes:
        target: Name of the target.
        horizon: Time after a cutoff until its label is final: the target's horizon, or
            ``mature_after`` of an outcome column.
        evaluation: Folds, tested share and embargo.
        ordered: False where the order of the rows means nothing.
        observed_through: Instant through which outcomes are complete; None if they have no times.
        seed: Seed of every random choice.
        learning: Sample weights and hyperparameter search.
        metadata: Metadata of the scorer that is trained.
        log: Receives one progress message a step.
        learners: Candidates that are tried next to the baselines.
        segment_column: Column of the matrix with the segment of each row; empty where all rows have
            one model.
    """

    target: str
    horizon: timedelta
    evaluation: EvaluationConfig
    ordered: bool = True
    observed_through: datetime | None = None
    seed: int = 0
    learning: Learning = field(default_factory=Learning)
    metadata: ScorerMetadata = field(default_factory=ScorerMetadata)
    log: Callable[[str], None] = discard_message
    learners: tuple[type[Model], ...] = CANDIDATES
    segment_column: str = ""

    @property
    def horizon_us(self) -> int:
        """Horizon in microseconds."""
        return duration_to_microseconds(self.horizon)

    def known_until(self, test_start: int | None) -> int | None:
        """Return the instant up to which a model may know outcomes, in microseconds UTC.

        It lies one embargo before ``test_start``, the first tested cutoff (microseconds UTC).
        Without a test it is the instant through which outcomes are complete. None where rows are
        not followed up: without an order, or where outcomes have no times.
        """
        if not self.ordered or self.observed_through is None:
            return None
        if test_start is None:
            return to_microseconds(self.observed_through)
        return test_start - duration_to_microseconds(self.evaluation.embargo)
