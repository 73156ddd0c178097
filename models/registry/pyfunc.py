"""The MLflow pyfunc model of a scorer: how it is saved, and how MLflow calls it."""

# No postponed annotations here: MLflow inspects the type of the argument of `predict`.
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import LeadscoreError
from models.encoding import Encoding

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import LoggedModel

SCORER_ARTIFACT = "scorer"
SERVING_CODE = "serving_code.py"
# Packages that a served scorer imports. They are listed, since MLflow takes seconds to infer them.
REQUIRED_PACKAGES = (
    "leadscore",
    "mlflow",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
)


def make_input_example(encoding: Encoding) -> "pd.DataFrame":
    """Return one invented row with all columns that the model reads.

    Instants are ISO texts, as in a JSON request. Numbers are 0, and categories the most frequent
    one.
    """
    import pandas as pd

    row: dict[str, Any] = {"entity_id": "lead-1", "cutoff": "2024-01-01T00:00:00+00:00"}
    for feature in encoding.features:
        row[feature.name] = (
            0.0 if feature.kind == "number" else next(iter(feature.categories), None)
        )
    return pd.DataFrame([row])


def register_pyfunc(load: Callable[[Path], Any], predict: Callable[[Any, Any], Any]) -> None:
    """Register the model of a logged code file with MLflow.

    MLflow calls ``predict(load(scorer directory), frame)``. An error of leadscore becomes an
    MlflowException, whose message a server returns with status 400.
    """
    import pandas as pd
    from mlflow.exceptions import MlflowException
    from mlflow.models import set_model
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
    from mlflow.pyfunc import PythonModel, PythonModelContext

    class ServedScorer(PythonModel):
        def load_context(self, context: PythonModelContext) -> None:
            self.scorer = load(Path(context.artifacts[SCORER_ARTIFACT]))

        def predict(
            self,
            context: PythonModelContext,
            model_input: pd.DataFrame,
            params: dict[str, Any] | None = None,
        ) -> Any:
            try:
                return predict(self.scorer, model_input)
            except LeadscoreError as error:
                raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error

    set_model(ServedScorer())


def save_pyfunc(
    temporary: Path,
    scorer: Path,
    model: "LoggedModel",
    run_id: str,
    input_example: "pd.DataFrame | None",
) -> Path:
    """Write an MLflow model from code: the serving file and the scorer's files, nothing pickled."""
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    # MLflow stores a directory under its own name.
    named = shutil.copytree(scorer, temporary / SCORER_ARTIFACT)
    # MLflow copies a file with its mode. That of an installed file is for everybody, and what a
    # run creates is not.
    code = shutil.copyfile(Path(__file__).with_name(SERVING_CODE), temporary / SERVING_CODE)
    save_model(
        temporary / "model",
        python_model=str(code),
        artifacts={SCORER_ARTIFACT: str(named)},
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in REQUIRED_PACKAGES],
        mlflow_model=Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        ),
        input_example=input_example,
        # A signature inferred from the example would reject whole numbers and missing values.
        signature=False,
    )
    return temporary / "model"
