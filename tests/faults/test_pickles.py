"""Pickles planted among the files of a model: none is ever loaded."""

import ast
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from configs.schema import load_project
from models.registry.records import TrainingRecord, hash_directory
from models.registry.registry import SHA256_TAG, Registry
from pipelines.workspace import open_workspace
from tests.conventions.test_language import package_files, relative
from tests.faults.trained_models import write_company
from tests.pipelines import tiny

# Scores a night with an audit hook that writes down each file that is opened.
NIGHT = """
import sys
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
from configs.schema import load_project
from pipelines.nightly.preview import preview_scores
from pipelines.runner import Runner
scores = preview_scores(load_project("company.yaml"), sys.argv[1], Runner())
assert scores.num_rows
sys.stdout.write("\\n".join(["opened", *sorted(opened)]))
"""
FLAVOURS = """
flavors:
  python_function: {loader_module: mlflow.pyfunc.model, python_model: python_model.pkl}
  sklearn: {pickled_model: model.pkl, serialization_format: pickle}
  lightgbm: {data: model.pkl, model_class: lightgbm.basic.Booster}
"""
PLANTED = ("python_model.pkl", "model.pkl", "model.joblib", "model.npy", "model.skops")
LOADERS = {"load_model", "read_pickle", "Unpickler", "allow_pickle"}
MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "skops", "torch"}


class Payload:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """Return the folder of a small company with a champion, and the directory of its scorer."""
    folder = tmp_path_factory.mktemp("pickles")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        scorer = write_company(folder, patch)
        scorer.save(folder / "scorer")
        project = load_project("company.yaml")
        registry = Registry(project.workspace_path, project.project)
        with open_workspace(project):
            version = registry.log_training("buy", TrainingRecord(folder / "scorer"))
            registry.promote("buy", version.number)
        return folder, registry, registry.scorer_directory(version), version


def test_planted_pickles_are_never_loaded(champion, record_attack):
    folder, registry, scorer, version = champion
    loaded, model = folder / "loaded", scorer.parents[1]
    payload = pickle.dumps(Payload(loaded))
    places = [model, model / "artifacts", scorer, folder / "workspace"]
    for place in places:
        for name in PLANTED:
            (place / name).write_bytes(payload)
        (place / "MLmodel").write_text(FLAVOURS, encoding="utf-8")
    # The hash fits, as if the registry had been written to as well.
    name = f"{registry.project}.buy"
    registry._client.set_model_version_tag(
        name, str(version.number), SHA256_TAG, hash_directory(scorer)
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NIGHT, tiny.END],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    _, _, opened = done.stdout.partition("opened\n")
    # The hash covers all files in the directory of the scorer, so there each is read as bytes.
    read = {
        path
        for path in opened.splitlines()
        if Path(path).name in (*PLANTED, "MLmodel") and Path(path).parent != scorer
    }
    planted = len(places) * (len(PLANTED) + 1)
    outcomes = {"never opened": planted - len(read), "opened": len(read)}
    record_attack("a pickle planted among the files of a model", outcomes)
    assert done.returncode == 0, done.stderr[-2000:]
    assert opened, "the audit hook has seen nothing"
    assert not read
    assert not loaded.exists()
    pickle.loads(payload)  # noqa: S301 - our own
    assert loaded.exists(), "the payload does nothing, so the test proves nothing"


def find_loaders(source: str) -> list[str]:
    """Return what in a source could load a pickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] if node.module.split(".")[0] in MODULES else []
            found += [a.name for a in node.names if a.name in LOADERS]
            found += ["joblib.load"] if node.module == "joblib" and "load" in names(node) else []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            call = f"{node.value.id}.{node.attr}"
            found += [call] if node.attr in LOADERS or call in ("np.load", "joblib.load") else []
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.append("allow_pickle")
    return found


def names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def test_packages_have_no_loader_of_pickles():
    loaders = {relative(path): find_loaders(path.read_text("utf-8")) for path in package_files()}
    assert Counter(name for found in loaders.values() for name in found) == Counter()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "from joblib import load",
        "import numpy as np\nnp.load(path)",
        "numpy.lib.format.read_array(file, allow_pickle=True)",
        "mlflow.load_model(uri)",
        "from mlflow.pyfunc import load_model",
        "pd.read_pickle(path)",
    ],
)
def test_loaders_of_pickles_are_found(source):
    assert find_loaders(source)
