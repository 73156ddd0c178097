"""Bounds of a model text: each is refused by the name of its tree and key."""

import re

import numpy as np
import pytest

from models.serialization import DamagedModelError
from models.trees import model_text
from models.trees.parse import parse_model
from models.trees.predict import MarginPredictor
from tests.models.trees.tree_samples import train_model_text


@pytest.fixture(scope="module")
def text():
    return train_model_text(np.random.default_rng(2), "small", "nan")


def change(text, key, value, tree=0):
    """Return the text with the value of a key of a tree, or of the head, and fitting sizes."""
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    parts, place = ([head], 0) if tree is None else (trees, tree)
    parts[place], changed = re.subn(rf"(?m)^{key}=.*$", f"{key}={value}", parts[place])
    assert changed
    head = parts[0] if tree is None else head
    sizes = " ".join(str(len(f"\nTree={part}")) for part in trees)
    if key != "tree_sizes":
        head = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
    return "\nTree=".join([head, *trees]) + "\nend of trees\n"


def read(text, key, tree=0):
    return re.findall(rf"(?m)^{key}=(.*)$", text)[tree].split()


def test_changed_text_is_read(text):
    same = change(text, "leaf_value", " ".join(read(text, "leaf_value")))
    assert parse_model(same).feature_count == parse_model(text).feature_count


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("num_leaves", v) for v in ("0", "-1", "1e9", "nan", "2.5", "")],
        *[("split_feature", v) for v in ("-1 0 0 0 0", "14 0 0 0 0", "1e300 0 0 0 0")],
        ("split_feature", "0 0 0 0"),
        ("threshold", "nan 0 0 0 0"),
        ("decision_type", "12 2 2 2 2"),
        ("decision_type", "-1 2 2 2 2"),
        *[("leaf_value", f"{v} 0 0 0 0 0") for v in ("nan", "inf", "1e400", "1e300", "x")],
        ("leaf_count", "-1 1 1 1 1 1"),
        ("internal_count", "0 1 1 1 1"),
        ("internal_count", "1e300 1 1 1 1"),
        ("num_cat", "-1"),
        ("is_linear", "1"),
    ],
)
def test_value_out_of_bounds_is_named(text, key, value):
    with pytest.raises(DamagedModelError, match=rf"tree 0, {key}: "):
        parse_model(change(text, key, value))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("0 -2 -3 -4 -5", "1 2 3 4 -6"),
        ("-1 0 -3 -4 -5", "1 2 3 4 -6"),
        ("-1 -2 -3 -4 -5", "1 1 3 4 -6"),
        ("-1 -1 -3 -4 -5", "1 2 3 4 -6"),
        ("-1 -2 -3 -4 -5", "4 2 3 4 -6"),
        ("-7 -2 -3 -4 -5", "1 2 3 4 -6"),
        ("-1 -2 -3 -4 -5", "1 2 3 5 -6"),
    ],
)
def test_graph_that_is_no_tree_is_refused(text, left, right):
    with pytest.raises(DamagedModelError, match=r"tree 0, (left|right)_child"):
        parse_model(change(change(text, "left_child", left), "right_child", right))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_feature_idx", "1000000000000"),
        ("max_feature_idx", "-1"),
        ("num_tree_per_iteration", "3"),
        ("num_class", "3"),
        ("objective", "multiclass num_class:3"),
        ("feature_names", "a b"),
        ("feature_infos", "none"),
        ("tree_sizes", "1 2 3 4 5 6"),
        ("tree_sizes", "1"),
    ],
)
def test_head_out_of_bounds_is_named(text, key, value):
    with pytest.raises(DamagedModelError, match=r"head, |tree 0, tree_sizes"):
        parse_model(change(text, key, value, tree=None))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cat_boundaries", "0"),
        ("cat_boundaries", "1 {size}"),
        ("cat_boundaries", "0 1000000000"),
        ("cat_threshold", "-1"),
        ("cat_threshold", "4294967296"),
        ("num_cat", "0"),
    ],
)
def test_category_set_out_of_bounds_is_refused(key, value):
    text = train_model_text(np.random.default_rng(2), "usual", "nan")
    trees = [lines for lines in re.findall(r"(?m)^num_cat=(.*)$", text)]
    tree = next(number for number, sets in enumerate(trees) if sets != "0")
    with pytest.raises(DamagedModelError, match=rf"tree {tree}, "):
        parse_model(change(text, key, value.format(size=2), tree))


def test_trees_that_cost_too_much_are_refused(text, monkeypatch):
    monkeypatch.setattr("models.trees.parse.MAX_PATH_WORK", 10)
    with pytest.raises(DamagedModelError, match=r"tree \d: too many"):
        MarginPredictor.from_text(text)
    assert model_text.MAX_PATH_WORK > 1_000_000
