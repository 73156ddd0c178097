"""A machine that only scores works without the libraries of the extras; others are named."""

import os
import shutil
import subprocess
import sys

import pytest

from pipelines.cli import EXTRAS_BY_MODULE
from tests.pipelines import tiny

CODE = (
    "import sys; sys.modules.update(dict.fromkeys({hidden!r}));"
    "from pipelines.cli import main; main()"
)


@pytest.fixture
def company(guarded_company, tmp_path):
    return shutil.copytree(guarded_company, tmp_path / "company", symlinks=True)


def run_without(hidden, company, *arguments):
    command = [sys.executable, "-c", CODE.format(hidden=sorted(hidden)), *arguments]
    environment = os.environ | {"PREFECT_API_URL": ""}
    return subprocess.run(
        command, cwd=company, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        ("check", "company.yaml"),
        ("score", "company.yaml", "--as-of", tiny.END),
        ("export", "company.yaml"),
        ("outcomes", "company.yaml", "--as-of", tiny.END),
    ],
)
def test_nightly_commands_need_no_extra(company, command):
    if command[0] in ("export", "outcomes"):
        run_without(EXTRAS_BY_MODULE, company, "score", "company.yaml", "--as-of", tiny.END)
    done = run_without(EXTRAS_BY_MODULE, company, *command)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("hidden", "extra", "command"),
    [
        ("lightgbm", "train", ("train", "company.yaml", "--as-of", tiny.END, "--direct")),
        ("prefect", "prefect", ("score", "company.yaml", "--as-of", tiny.END, "--prefect")),
    ],
)
def test_missing_library_names_its_extra(company, hidden, extra, command):
    done = run_without([hidden], company, *command)
    assert done.returncode == 2
    assert f"{hidden}\n  fix: pip install 'leadscore[{extra}]'" in done.stderr
