"""Compiled kernels are cached separately for each state of the sources."""

from pathlib import Path

from features.tools import jit
from features.tools.jit import jit_kernel


def test_kernel_cache_folder_has_hash_of_sources():
    def doubled(number):
        return 2 * number

    before = jit.nb.config.CACHE_DIR
    compiled = jit_kernel(doubled)
    assert compiled(4) == 8
    assert before == jit.nb.config.CACHE_DIR
    assert Path(compiled.stats.cache_path).parent.name == f"kernels-{jit._hash_sources()}"


def test_source_hash_covers_all_files(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "jit.py").write_text("one", encoding="utf-8")
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "tools" / "jit.py"))
    first = jit._hash_sources()
    (tmp_path / "other.py").write_text("called by a kernel", encoding="utf-8")
    assert jit._hash_sources() != first
