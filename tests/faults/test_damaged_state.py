"""State that is gone or damaged is named, refused or repaired, and never silently begun anew."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from configs.schema import load_project
from pipelines.runner import read_clock
from pipelines.state.verify import verify_project
from tests.faults.company import copy_and_publish
from tests.faults.conftest import is_full_attack
from tests.faults.damage import list_damage, try_damage

NIGHTS, NEXT = ("2024-12-01", "2024-12-15"), "2024-12-20"
RIGHT = {"named, went on", "named, refused", "refused", "went on"}


@pytest.fixture(scope="module")
def company(trained, tmp_path_factory):
    """Return the folder of a company with a champion and two published nights."""
    folder = tmp_path_factory.mktemp("state") / "company"
    copy_and_publish(trained, folder, *NIGHTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        assert verify_project(load_project("company.yaml"), read_clock()).alarms() == []
    return folder


def test_damage_of_any_file_is_noticed(company, tmp_path, record_attack):
    attacks = list(list_damage(company / "workspace"))
    # Spread evenly over files and kinds of damage; a night takes half a second.
    attacks = attacks[::2] if is_full_attack() else attacks[3 :: max(1, len(attacks) // 12)]
    outcomes, faults = Counter(), []
    for number, (name, kind) in enumerate(attacks):
        folder = tmp_path / str(number)
        shutil.copytree(company, folder, symlinks=True)
        outcome, text = try_damage(folder, Path(name), kind, NEXT)
        outcomes[outcome] += 1
        if outcome not in RIGHT:
            faults.append(f"{kind.__name__} {name}: {outcome}: {text}")
        shutil.rmtree(folder)
    record_attack("files of the workspace deleted, cut, flipped, replaced", outcomes)
    assert faults == []
