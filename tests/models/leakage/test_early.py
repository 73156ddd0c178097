"""People who are known before anybody could have entered them."""

import numpy as np
import pyarrow as pa

from models.leakage.early import MIN_ENTITIES, find_known_too_early

COUNTS = {"known": "accounts.roles.legal"}


def draw(of_later, of_never, later=200, never=400):
    """Return rows of entities of which these shares have somebody known."""
    rng = np.random.default_rng(3)
    known = np.append(rng.random(later) < of_later, rng.random(never) < of_never)
    ids = pa.array([f"e{at}" for at in range(later + never)])
    outcome = pa.array([1] * later + [None] * never, pa.int64())
    matrix = pa.table({"entity_id": ids, "known": known.astype(float)})
    labels = pa.table({"label": pa.array([0] * (later + never), pa.int8()), "outcome_at": outcome})
    return matrix, labels


def test_people_entered_at_the_outcome_are_named():
    ((column, evidence),) = find_known_too_early(*draw(0.9, 0.2), COUNTS)
    assert column == "accounts.roles.legal"
    assert "of 200 rows whose outcome came after the horizon" in evidence


def test_people_known_as_often_are_not_named():
    assert not [*find_known_too_early(*draw(0.35, 0.3), COUNTS)]


def test_people_of_every_row_with_an_outcome_are_named():
    assert [*find_known_too_early(*draw(1.1, 0.0), COUNTS)]


def test_few_entities_prove_nothing():
    assert not [*find_known_too_early(*draw(0.9, 0.1, later=MIN_ENTITIES - 1), COUNTS)]


def test_rows_with_the_outcome_in_time_or_unknown_are_not_compared():
    matrix, labels = draw(0.9, 0.2)
    for label in (1, None):
        other = labels.set_column(0, "label", pa.array([label] * labels.num_rows, pa.int8()))
        assert not [*find_known_too_early(matrix, other, COUNTS)]
