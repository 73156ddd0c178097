"""An evaluation as a training stores it, for tests of what reads one."""

from models.evaluation.record import (
    EvaluationRecord,
    RecordedCause,
    RecordedEstimate,
    RecordedFold,
    RecordedGate,
    RecordedImportance,
    RecordedSuspect,
    RecordedTest,
    ReliabilityBin,
)


def make_evaluation():
    """Return a record in which every list has a part."""
    estimate = RecordedEstimate(0.7, 0.6, 0.8, 90)
    test = RecordedTest("ranks", True, estimate, 0.5, None, "ranks: AUC 0.700")
    return EvaluationRecord(
        target="close",
        learner="hazard",
        trained_as_of="2024-05-01T00:00:00+00:00",
        observation_date="2024-04-30T00:00:00+00:00",
        horizon="30d",
        language="en",
        rows=100,
        mature=80,
        immature=20,
        positive=20,
        used_features=1,
        offered_features=2,
        capacity=20,
        metrics={"roc_auc": estimate},
        baselines={"base_rate": {"roc_auc": RecordedEstimate(None, None, None, 90)}},
        folds=(RecordedFold("2024-03-01", 90, 80, 20, {"roc_auc": estimate}),),
        reliability=(
            ReliabilityBin(0.1, 0.1, 0.0, 0.2, 45),
            ReliabilityBin(0.4, None, None, None, 45),
        ),
        gain=((0.0, 0.0), (1.0, 1.0)),
        gain_at_capacity=(0.1, 0.4),
        importance=(
            RecordedImportance("a", "the a", "activity", 0.5),
            RecordedImportance("b", "the b", "attribute", 0.1),
        ),
        gate=RecordedGate(True, (test,), (RecordedCause("a", "b", "c"),)),
        suspects=(RecordedSuspect("rating", False, "filled after the outcome"),),
        base_value=-1.25,
    )
