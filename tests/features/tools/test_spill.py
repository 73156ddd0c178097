"""Spilled tables against the same tables in memory; no file is left behind."""

import errno
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import ConfigError
from features.contracts import filter_available_before
from features.tools import spill
from features.tools.spill import SpillBuffer, exceeds_memory
from tests.features.logs import START, crowd

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), ("text", pa.string())])


def piece(*numbers):
    return pa.table([numbers, [None if n % 3 == 0 else f"Ж{n}" for n in numbers]], schema=SCHEMA)


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=6), st.sampled_from([0, 60, 10**6])
)
def test_spilled_table_equals_table_in_memory(tmp_path_factory, rows, most):
    scratch = tmp_path_factory.mktemp("x") / "not yet" / "there"
    pieces = [piece(*numbers) for numbers in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "get_max_bytes_in_memory", lambda: most)
        found = SpillBuffer.collect(SCHEMA, pieces, scratch)
        assert exceeds_memory(found) == (found.nbytes > most)
        # The file has no name from the beginning, so neither a killed nor a finished run leaves it.
        assert not scratch.exists() or list(scratch.iterdir()) == []
    assert found.equals(pa.concat_tables([SCHEMA.empty_table(), *pieces]))
    assert found.schema.equals(SCHEMA)


def test_spill_needs_large_table_and_scratch_folder(tmp_path, monkeypatch):
    before = pa.total_allocated_bytes()
    small = SpillBuffer.collect(SCHEMA, [piece(*range(1000))], tmp_path / "s")
    assert not (tmp_path / "s").exists() and pa.total_allocated_bytes() > before
    monkeypatch.setattr(spill, "get_max_bytes_in_memory", lambda: 100)
    assert SpillBuffer.collect(SCHEMA, [piece(*range(1000))], None).equals(small)
    held = pa.total_allocated_bytes()
    large = SpillBuffer.collect(SCHEMA, [piece(*range(1000)) for _ in range(5)], tmp_path / "s")
    assert (tmp_path / "s").is_dir() and pa.total_allocated_bytes() == held
    assert large.slice(4000).equals(small)


def test_killed_process_leaves_no_file(tmp_path):
    code = f"""
import os, signal, pyarrow as pa
from pathlib import Path
from features.tools import spill
spill.get_max_bytes_in_memory = lambda: 0
buffer = spill.SpillBuffer(pa.schema([("n", pa.int64())]), Path({str(tmp_path)!r}))
buffer.add(pa.table({{"n": list(range(1000))}}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_full_disk_raises_config_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spill, "get_max_bytes_in_memory", lambda: 0)
    monkeypatch.setattr(spill, "open_unnamed_file", full)
    with pytest.raises(ConfigError, match="No space left") as caught:
        SpillBuffer.collect(SCHEMA, [piece(1)], tmp_path)
    assert str(tmp_path) in caught.value.where and caught.value.fix


def test_spilled_cut_equals_cut_in_memory(tmp_path, monkeypatch):
    events = crowd(5).events
    for days in (0, 3, 9, 99):
        cutoff = START + timedelta(days=days)
        whole = filter_available_before(events, cutoff)
        assert repr(whole.to_pylist()) == repr(
            [row for row in events.to_pylist() if row["available_at"] < cutoff]
        )
        with monkeypatch.context() as patch:
            patch.setattr(spill, "get_max_bytes_in_memory", lambda: 0)
            assert repr(filter_available_before(events, cutoff, tmp_path).to_pylist()) == repr(
                whole.to_pylist()
            )
    assert filter_available_before(events, cutoff) is events


def test_memory_share_of_table_is_small():
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 1 << 20 < spill.get_max_bytes_in_memory() <= physical / 8
