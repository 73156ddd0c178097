"""The pyfunc model of a logged scorer: predictions, input example, requirements and errors."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.contracts import INSTANT
from models.calibration import AffineCalibrator, ProbabilityBand, to_probability
from models.encoding import Encoding
from models.evaluation.record import EVALUATION_FILE
from models.learners.fit_input import FitInput
from models.learners.logistic import Logistic
from models.registry.pyfunc import make_input_example
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer import Scorer, ScoreScale

ROOT = Path(__file__).parents[3]
LOAD = "import sys; from mlflow.pyfunc import load_model; load_model(sys.argv[1])"


@pytest.fixture(scope="module")
def matrix():
    return pa.table(
        {
            "entity_id": [f"lead-{i}" for i in range(200)],
            "cutoff": pa.array(
                [datetime(2024, 1, 1 + i % 28, tzinfo=UTC) for i in range(200)], INSTANT
            ),
            "visits": [float(i % 7) for i in range(200)],
            "origin": [("web", "fair", None)[i % 3] for i in range(200)],
        }
    )


@pytest.fixture(scope="module")
def scorer(matrix):
    encoding = Encoding.fit(matrix, ["visits", "origin"])
    x = encoding.encode(matrix)
    y = (x[:, 0] > 3).astype(np.int64) ^ (np.arange(len(x)) % 5 == 0)
    model = Logistic.fit(FitInput(x, encoding.categorical, 0), y)
    chance = to_probability(model.margin(x))
    band = ProbabilityBand.fit(chance, y, np.arange(len(x)), np.zeros(len(x)))
    return Scorer(
        "close", model, encoding, AffineCalibrator(1.0, 0.0), band, ScoreScale.fit(chance)
    )


@pytest.fixture(scope="module")
def logged(scorer, tmp_path_factory):
    """Log the scorer once; return the folder of its MLflow model."""
    folder = tmp_path_factory.mktemp("logged")
    scorer.save(folder / "scored")
    # Serving reads the scorer alone.
    (folder / "scored" / EVALUATION_FILE).write_text("not read")
    record = TrainingRecord(folder / "scored", input_example=make_input_example(scorer.encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        version = Registry(folder / "workspace", "demo").log_training("close", record)
    return Path(version.artifacts.removeprefix("file://"))


@pytest.fixture(scope="module")
def served(logged):
    from mlflow.pyfunc import load_model

    return load_model(str(logged))


@pytest.fixture
def frame(matrix):
    """Return the matrix as a JSON request would carry it: whole numbers, and instants as text."""
    return pd.DataFrame(matrix.to_pydict()).astype({"visits": int, "cutoff": str})


def test_pyfunc_model_serves_scorer(served, scorer, matrix, frame):
    predictions = served.predict(frame)
    assert predictions["probability"].tolist() == scorer.predict(matrix)["probability"].to_pylist()
    assert predictions["grade"].nunique() > 1


def test_input_example_is_logged_and_accepted(served, logged):
    example = json.loads((logged / "input_example.json").read_text())
    assert example["columns"] == ["entity_id", "cutoff", "visits", "origin"]
    assert len(served.predict(pd.DataFrame(example["data"], columns=example["columns"]))) == 1


def test_signature_is_absent(served):
    """A signature would reject whole numbers and missing values."""
    assert served.metadata.signature is None


def test_missing_columns_are_named(served, frame):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=r"2 of 4 columns missing: cutoff, origin") as error:
        served.predict(frame.drop(columns=["origin", "cutoff"]))
    assert error.value.get_http_status_code() == 400


def test_column_of_wrong_type_is_named(served, frame):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=r"cannot be read as double.*column visits"):
        served.predict(frame.astype({"visits": str}).assign(visits="many"))


def test_requirements_include_leadscore(logged):
    requirements = (logged / "requirements.txt").read_text().splitlines()
    assert {"leadscore", "mlflow"} <= {line.partition("==")[0] for line in requirements}


@pytest.mark.parametrize("name", ["models", "configs", "features"])
def test_package_clash_is_named_when_model_is_loaded(logged, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", LOAD, str(logged)]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode != 0
    last_line = result.stderr.strip().splitlines()[-1]
    assert f"another package named '{name}' hides leadscore's" in last_line
    assert str(tmp_path / name) in last_line
    assert "PYTHONPATH" in last_line
