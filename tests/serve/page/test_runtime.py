"""The chart library is put together once for each version, and never read damaged."""

import pytest

from serve.page import runtime


@pytest.fixture
def counted(monkeypatch):
    """Count how often the library is put together."""
    calls = []
    monkeypatch.setattr(runtime, "_put_together", lambda: calls.append(1) or "let a = 1;\r\nlet b;")
    return calls


def test_library_is_kept_and_read_back_as_it_is(tmp_path, counted):
    scripts = {runtime.bundle_chart_library(tmp_path / "new") for _ in range(3)}
    assert scripts == {"let a = 1;\r\nlet b;"}
    assert len(counted) == 1


@pytest.mark.parametrize("damage", [lambda old: old[:-3], lambda old: old + b"x", lambda old: b""])
def test_damaged_library_is_put_together_again(tmp_path, counted, damage):
    first = runtime.bundle_chart_library(tmp_path)
    (kept,) = (tmp_path / runtime.CACHE_FOLDER).iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert runtime.bundle_chart_library(tmp_path) == first
    assert len(counted) == 2
    assert runtime.bundle_chart_library(tmp_path) == first
    assert len(counted) == 2


def test_page_needs_no_place_for_the_library(tmp_path, counted):
    (tmp_path / runtime.CACHE_FOLDER).write_text("a file stands in the way")
    assert runtime.bundle_chart_library(tmp_path)
