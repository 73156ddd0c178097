"""Commands run one after the other in one process, which imports the libraries once.

``python -m tests.faults.commands`` reads a JSON list of steps from its standard input. A step is
the arguments of a command, or ``["copy", FOLDER]``, which copies the working directory to a folder
and goes on there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: text for name, text in os.environ.items() if name != "LEADSCORE_WORKSPACE"},
    "PYTHONPATH": str(ROOT),
}


def run_commands(folder: Path, *steps: list[str], umask: int = 0o022) -> str:
    """Run the steps in a folder and return what they print on standard error; all must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.commands"],
        cwd=folder,
        env=ENVIRONMENT,
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def _run_steps(steps: list[list[str]]) -> None:
    from models.learners import lightgbm
    from pipelines.cli import main

    lightgbm.ROUNDS = 15
    umask = os.umask(0)
    for step in steps:
        # A command restricts it for its process, and each step stands for a process.
        os.umask(umask)
        if step[0] == "copy":
            shutil.copytree(".", step[1], symlinks=True)
            os.chdir(step[1])
            continue
        sys.argv[1:] = step
        try:
            main()
        except SystemExit as end:
            if end.code:
                sys.exit(f"{step}: exit {end.code}")


if __name__ == "__main__":
    _run_steps(json.loads(sys.stdin.read()))
