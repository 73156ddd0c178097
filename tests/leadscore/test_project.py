"""The public API does what the command line does."""

import subprocess
import sys

import pytest

import leadscore
from configs.errors import ConfigError, NotFitToPublish
from tests.pipelines import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        path = tiny.write(folder, leads=600, **tiny.LITTLE)
        loaded = leadscore.load(path)
        yield loaded


def test_check_counts_the_rows(project):
    result = project.check(tiny.END)
    assert result.entities == 600
    assert result.targets[0].target == "buy"


def test_features_are_known_before_the_instant(project):
    matrix = project.features("2024-07-01", target="buy").to_pandas()
    assert list(matrix.columns[:2]) == ["entity_id", "cutoff"]
    assert matrix["cutoff"].nunique() == 1
    assert 0 < len(matrix) < 600


def test_score_needs_a_champion(project):
    with pytest.raises(NotFitToPublish, match="no target has a champion"):
        project.score(tiny.END)


def test_score_previews_the_scores_that_it_publishes(project):
    (result,) = project.train(tiny.END)
    assert result.error is None, result.error
    preview = project.score(tiny.END)
    with pytest.raises(ConfigError, match="no score of this entity was published"):
        project.explain(preview["entity_id"][0].as_py())
    published = project.score(tiny.END, publish=True)
    own = {"run_id", "scored_at"}  # each run has its own
    columns = [name for name in preview.column_names if name not in own]
    assert preview.select(columns).equals(published.select(columns))
    explanation = project.explain(preview["entity_id"][0].as_py())
    assert explanation.to_json()["entity"] == preview["entity_id"][0].as_py()


def test_import_reports_a_package_that_hides_ours(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import leadscore"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"hides leadscore's: found {tmp_path / 'models'}" in done.stderr
