"""Seeded mutations of stored models, with every hash computed again.

A mutation is identified by its number: the same number gives the same bytes.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED = 20261129
SCORER_FILE = "scorer.json"
EXTREMES = (
    "-1", "0", "1", "65536", "2147483647", "2147483648", "4294967296", "-2147483649",
    "9223372036854775807", "9223372036854775808", "1e18", "nan", "inf", "-inf", "1e400", "1e308",
    "-1e308", "1e-320", "0.5", "x", "",
)  # fmt: skip
FIELDS = (
    "num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child",
    "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_count", "cat_boundaries",
    "cat_threshold", "is_linear", "shrinkage", "num_class", "num_tree_per_iteration",
    "max_feature_idx", "objective", "feature_names", "feature_infos", "tree_sizes", "Tree",
)  # fmt: skip


def mutate(number: int, template: Path, folder: Path) -> str:
    """Write a mutated copy of a stored scorer into a folder; return the kind of the mutation."""
    rng = random.Random(f"{SEED} {number}")
    files = {path.name: path.read_text("utf-8") for path in sorted(template.iterdir())}
    model = next(name for name in files if name != SCORER_FILE)
    name = rng.choice([SCORER_FILE, model, model])
    kind, change = rng.choice(TEXT_MUTATIONS if name == "model.txt" else JSON_MUTATIONS)
    files[name] = change(files[name], rng)
    data = files[model].encode("utf-8", "surrogateescape")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / model).write_bytes(data)
    stored = files[SCORER_FILE]
    # The hash is computed again by text, since the mutated file need not be JSON any more.
    sha256 = hashlib.sha256(data.decode("utf-8", "replace").encode()).hexdigest()
    stored = re.sub(r'("model_sha256": ")[0-9a-f]{64}', rf"\g<1>{sha256}", stored)
    (folder / SCORER_FILE).write_bytes(stored.encode("utf-8", "surrogateescape"))
    return f"{name}: {kind}"


def _flip_bytes(text: str, rng: random.Random) -> str:
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(rng.choice((1, 1, 3, 20))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data.decode("utf-8", "surrogateescape")


def _change_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        how = rng.choice(("delete", "double", "swap", "cut"))
        if how == "delete" and len(lines) > 2:
            del lines[place]
        elif how == "double":
            lines.insert(other, lines[place])
        elif how == "swap":
            lines[place], lines[other] = lines[other], lines[place]
        else:
            lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    return "\n".join(lines)


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text))]


def _find_field(text: str, rng: random.Random) -> re.Match[str] | None:
    name = rng.choice(FIELDS)
    return rng.choice(list(re.finditer(rf"^{name}=(.*)$", text, re.M)) or [None])


def _replace_field(text: str, rng: random.Random, change: Callable[[list[str]], list[str]]) -> str:
    match = _find_field(text, rng)
    if match is None:
        return _change_lines(text, rng)
    return text[: match.start(1)] + " ".join(change(match[1].split(" "))) + text[match.end(1) :]


def _put_extremes(text: str, rng: random.Random) -> str:
    def change(values: list[str]) -> list[str]:
        for _ in range(rng.choice((1, 1, 2, len(values)))):
            values[rng.randrange(len(values))] = rng.choice(EXTREMES)
        return values

    return _replace_field(text, rng, change)


def _swap_values(text: str, rng: random.Random) -> str:
    return _replace_field(text, rng, lambda values: rng.sample(values, len(values)))


def _resize_field(text: str, rng: random.Random) -> str:
    def change(values: list[str]) -> list[str]:
        size = rng.choice((0, 1, len(values) - 1, len(values) + 1, 2 * len(values), 10_000))
        return (values * (size // len(values) + 1))[:size]

    return _replace_field(text, rng, change)


def _repoint_children(text: str, rng: random.Random) -> str:
    """Point a child at its own split, at an earlier one, or at a leaf that has a parent."""
    lines = list(re.finditer(r"^(?:left|right)_child=(.*)$", text, re.M))
    match = rng.choice(lines or [None])
    if match is None or not match[1]:
        return _change_lines(text, rng)
    values = match[1].split(" ")
    place = rng.randrange(len(values))
    values[place] = str(rng.randrange(-len(values) - 1, len(values)))
    return text[: match.start(1)] + " ".join(values) + text[match.end(1) :]


def _repeat_trees(text: str, rng: random.Random) -> str:
    head, *trees = text.split("\nTree=")
    if len(trees) < 2:
        return _change_lines(text, rng)
    place = rng.randrange(len(trees) - 1)
    trees[place:place] = [trees[place]] * rng.choice((1, 2, 50))
    if rng.random() < 0.5:
        trees = [f"{number}\n{tree.partition(chr(10))[2]}" for number, tree in enumerate(trees)]
    return "\nTree=".join([head, *trees])


def _with_sizes(change: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    """Return the change, after which ``tree_sizes`` is mostly true again."""

    def changed(text: str, rng: random.Random) -> str:
        text = change(text, rng)
        if rng.random() < 0.2:
            return text
        body = text.partition("\nend of trees")[0]
        sizes = [len(f"\nTree={block}") for block in body.split("\nTree=")[1:]]
        return re.sub(
            r"^tree_sizes=.*$", f"tree_sizes={' '.join(map(str, sizes))}", text, flags=re.M
        )

    return changed


def _replace_value(text: str, rng: random.Random) -> str:
    """Replace a value of the JSON by one of another type or size."""
    data = json.loads(text)
    for _ in range(rng.choice((1, 1, 3))):
        holder, key = _pick_place(data, rng)
        holder[key] = rng.choice(STRANGE_VALUES)(holder[key], rng)
    return json.dumps(data, ensure_ascii=False, indent=1)


def _pick_place(data: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a random place of the JSON, as likely near its root as deep in it."""
    holder, key = data, rng.choice(_keys(data))
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.75:
        holder = holder[key]
        key = rng.choice(_keys(holder))
    return holder, key


def _keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def _nest(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((2, 60, 400))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _resize_value(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list | str) and value:
        return value[: rng.randrange(len(value))] if rng.random() < 0.5 else value * 3
    # A large value would fill the memory of the mutation itself.
    return [value] * rng.choice((0, 2, 2 if isinstance(value, dict | list | str) else 100_000))


def _change_text(value: Any, rng: random.Random) -> Any:
    """Mutate a text inside the JSON: the text of trees, or a list of numbers."""
    if not isinstance(value, str):
        return rng.choice((True, None, "", -1, 1e300))
    if "\nTree=" in value:
        return rng.choice(TEXT_MUTATIONS)[1](value, rng)
    return value.replace(" ", f" {rng.choice(EXTREMES)} ", 1) or "x"


def _delete_or_double(text: str, rng: random.Random) -> str:
    data = json.loads(text)
    holder, key = _pick_place(data, rng)
    if rng.random() < 0.6:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder[rng.choice(("", "x" * 10_000, str(key).upper()))] = holder[key]
    return json.dumps(data, ensure_ascii=False, indent=1)


def _write_extreme(text: str, rng: random.Random) -> str:
    """Replace a written number, which JSON itself could not hold."""
    numbers = list(re.finditer(r"(?<=[ \[])-?\d[\d.e+-]*(?=[,\n\]}])", text))
    if not numbers:
        return _flip_bytes(text, rng)
    match = rng.choice(numbers)
    value = rng.choice(("NaN", "Infinity", "1e400", "-1e308", "9" * 30, "9" * 5000, "-1", "0"))
    return text[: match.start()] + value + text[match.end() :]


def _nest_text(text: str, rng: random.Random) -> str:
    depth = rng.choice((900, 5_000, 1_000_000))
    return text.replace("{", '{"deep": ' + "[" * depth + "]" * depth + ",", 1)


def _change_trees(text: str, rng: random.Random) -> str:
    """Mutate one of the tree texts in the JSON; any value where there is none."""
    data = json.loads(text)
    places = list(_find_trees(data))
    if not places:
        return _replace_value(text, rng)
    holder, key = rng.choice(places)
    holder[key] = rng.choice(TEXT_MUTATIONS)[1](holder[key], rng)
    return json.dumps(data, ensure_ascii=False, indent=1)


def _find_trees(data: Any) -> Any:
    for key in _keys(data) if isinstance(data, dict | list) else ():
        if isinstance(data[key], str) and "\nTree=" in data[key]:
            yield data, key
        else:
            yield from _find_trees(data[key])


TEXT_MUTATIONS = [
    ("bytes flipped", _with_sizes(_flip_bytes)),
    ("bytes flipped, sizes kept", _flip_bytes),
    ("lines", _with_sizes(_change_lines)),
    ("cut", _cut),
    ("extremes", _with_sizes(_put_extremes)),
    ("extremes again", _with_sizes(lambda text, rng: _put_extremes(_put_extremes(text, rng), rng))),
    ("values in another order", _with_sizes(_swap_values)),
    ("lengths", _with_sizes(_resize_field)),
    ("children", _with_sizes(_repoint_children)),
    ("trees repeated", _with_sizes(_repeat_trees)),
]
JSON_MUTATIONS = [
    ("bytes flipped", _flip_bytes),
    ("lines", _change_lines),
    ("cut", _cut),
    ("values", _replace_value),
    ("values again", _replace_value),
    ("keys", _delete_or_double),
    ("numbers", _write_extreme),
    ("depth", _nest_text),
    ("trees", _change_trees),
    ("more trees", _change_trees),
]
STRANGE_VALUES: list[Callable[[Any, random.Random], Any]] = [
    lambda value, rng: rng.choice((None, True, False, "", "x", -1, 0, 1, [], {}, 0.5)),
    lambda value, rng: rng.choice((2**31, 2**63, -(2**63), 10**30, 1e308, -1e308, 5e-324)),
    lambda value, rng: rng.choice(([None], {"a": 1}, [[]], "x" * 100_000, "\x00", "9" * 400)),
    _nest,
    _resize_value,
    _change_text,
]
