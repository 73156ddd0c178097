"""The registered versions of a workspace, read from MLflow's file without MLflow.

Importing MLflow takes seconds, and opening its store may write. The tables are those of MLflow
3.17, as in ``artifact_paths``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from features.files.examination import Examination
from models.registry.artifact_paths import find_model
from models.registry.champion_cache import read_cache
from models.registry.pyfunc import SCORER_ARTIFACT
from models.registry.records import RegisteredVersion, hash_directory
from models.registry.registry import CHAMPION, PREVIOUS_TAG, SHA256_TAG, WITHDRAWN_TAG
from models.registry.registry_file import (
    ARTIFACTS_FOLDER,
    CACHE_FILE,
    CONTENT,
    REGISTRY_FILE,
    connect_read_only,
    inspect_registry_file,
    require_registry_file,
)

VERSIONS_SQL = """
    SELECT name, version, run_id, coalesce(storage_location, source) FROM model_versions
    WHERE current_stage IS NULL OR current_stage != 'Deleted_Internal'"""
TAGS_SQL = "SELECT name, version, key, value FROM model_version_tags"
ALIASES_SQL = "SELECT name, alias, version FROM registered_model_aliases"
MODEL_TAGS_SQL = "SELECT name, key, value FROM registered_model_tags"


@dataclass(frozen=True)
class StoredModels:
    """The registered versions of a project.

    Attributes:
        versions: Versions by target and number.
        champions: Number of the champion by target.
        withdrawn: Targets that a person left without a champion.
    """

    versions: Mapping[str, Mapping[int, RegisteredVersion]]
    champions: Mapping[str, int]
    withdrawn: frozenset[str]


def read_stored_models(root: Path, project: str, targets: Sequence[str]) -> StoredModels:
    """Return the versions of the targets in a workspace's own registry; nothing is changed."""
    names = {f"{project}.{target}": target for target in targets}
    with closing(connect_read_only(root / REGISTRY_FILE)) as connection:
        tags: dict[tuple[str, int], dict[str, str]] = {}
        for name, number, key, value in connection.execute(TAGS_SQL):
            tags.setdefault((name, int(number)), {})[key] = value
        versions: dict[str, dict[int, RegisteredVersion]] = {target: {} for target in targets}
        for name, number, run_id, place in connection.execute(VERSIONS_SQL):
            if name in names:
                target, own = names[name], tags.get((name, int(number)), {})
                versions[target][int(number)] = RegisteredVersion(
                    target, int(number), str(run_id), own, (), str(place)
                )
        champions = {
            names[name]: int(number)
            for name, alias, number in connection.execute(ALIASES_SQL)
            if alias == CHAMPION and name in names
        }
        withdrawn = frozenset(
            names[name]
            for name, key, value in connection.execute(MODEL_TAGS_SQL)
            if key == WITHDRAWN_TAG and value and name in names
        )
    return StoredModels(versions, champions, withdrawn)


def check_registry(examination: Examination, root: Path, thorough_bytes: int) -> None:
    """Report a registry file that was lost or is damaged.

    Its indexes are compared with its rows up to ``thorough_bytes``; beyond that only its structure
    is checked.
    """
    require_registry_file(root)
    path = root / REGISTRY_FILE
    if not path.exists():
        return
    size = path.stat().st_size
    examination.counts["bytes"] = size
    _, problem = inspect_registry_file(path, size + 1, thorough=size <= thorough_bytes)
    if size > thorough_bytes:
        examination.left_out.append("indexes of the large file")
    if problem:
        examination.report(
            f"the {CONTENT} is damaged: {problem}", f"restore {path} from the backup"
        )


def check_champions(
    examination: Examination,
    root: Path,
    stored: StoredModels,
    published: Mapping[str, str | None],
    config: str,
) -> None:
    """Report targets whose champion was lost, and a cache that names another one.

    ``published`` is the version that scored each target's newest night, ``config`` the path of the
    config. A cache that is one promotion behind is right: the next night writes it.
    """
    cached = read_cache(root / CACHE_FILE)
    rewrite = f"remove {root / CACHE_FILE}; the next night writes it from the registry"
    for target, versions in stored.versions.items():
        examination.counts["targets"] += 1
        champion, copy = stored.champions.get(target), cached.get(target)
        number = published.get(target)
        if champion is None and target not in stored.withdrawn:
            former = [n for n, version in versions.items() if PREVIOUS_TAG in version.tags]
            if former or copy or number:
                examination.report(
                    f"{target} has no champion any more",
                    f"`leadscore promote {config} --target {target} --version N`, or restore "
                    f"{REGISTRY_FILE}; on purpose: `leadscore rollback {config} --target {target} "
                    "--to-none`",
                )
        if champion is not None and champion not in versions:
            examination.report(
                f"the champion of {target}, version {champion}, is not registered",
                f"restore {REGISTRY_FILE} from the backup",
            )
        if number and number.isdecimal() and int(number) not in versions:
            examination.report(
                f"version {number} scored {target}, and the registry does not have it",
                f"restore {REGISTRY_FILE} from the backup",
            )
        if copy is None:
            if number and target not in stored.withdrawn:
                examination.report(f"{CACHE_FILE} lacks the champion of {target}", rewrite)
            continue
        if str(copy.number) not in (str(champion), number) or _is_other_version(copy, versions):
            examination.report(
                f"{CACHE_FILE} names version {copy.number} for {target}, which is not the "
                f"registry's champion, version {champion}",
                rewrite,
            )


def check_models(
    examination: Examination, root: Path, stored: StoredModels, champions_only: bool
) -> None:
    """Report registered versions whose files are missing or differ from what was logged."""
    if champions_only:
        examination.left_out.append("versions that are no champion")
    for target, versions in stored.versions.items():
        for number, version in sorted(versions.items()):
            if champions_only and number != stored.champions.get(target):
                continue
            examination.counts["versions"] += 1
            model = find_model(version.artifacts, root / ARTIFACTS_FOLDER)
            scorer = model / "artifacts" / SCORER_ARTIFACT
            state = "missing"
            if scorer.is_dir():
                state = "changed"
                if hash_directory(scorer) == version.tags.get(SHA256_TAG):
                    continue
            examination.report(
                f"the files of {target} version {number} are {state}: {scorer}",
                "restore them from the backup; of a champion, roll back or train again",
            )


def _is_other_version(copy: RegisteredVersion, versions: Mapping[int, RegisteredVersion]) -> bool:
    """Return whether a cached version is not the registered one with its number."""
    registered = versions.get(copy.number)
    return registered is None or (
        (copy.run_id, copy.tags.get(SHA256_TAG))
        != (registered.run_id, registered.tags.get(SHA256_TAG))
    )
