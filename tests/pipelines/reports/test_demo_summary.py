"""The last lines of the demo name what to try next."""

import re

from typer.main import get_command

from pipelines.cli import app
from pipelines.reports.demo_summary import NEXT_STEPS, _describe_next


def test_next_steps_are_commands_with_their_options():
    commands = get_command(app).commands
    lines = _describe_next("configs/demo.yaml")[1:]
    assert len(lines) == len(NEXT_STEPS)
    for line in lines:
        name, *words = re.split(r"\s{3,}", line.strip())[0].split()[1:]
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options
        assert "CONFIG" not in line and len(line) <= 100
    assert {"funnel", "forecast", "report"} <= {step.split()[0] for step in NEXT_STEPS}
