"""The memo's records: believed only while every fact holds."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

from jettison.fastpath import memo
from jettison.fastpath.walk import list_directory, look_up, walk_tree


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A root, and a context whose files are old enough to be trusted."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "generation").write_text("1f")
    context = tmp_path / "context"
    (context / "src").mkdir(parents=True)
    (context / "src" / "a.c").write_text("a")
    (context / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def record_of(place: Path) -> dict[str, Any]:
    context = str(place / "context")
    root = os.fsencode(context)
    return {
        "version": memo.our_version(),
        "generation": memo.read_generation(str(place / "root")),
        "env": [("VERSION", "1"), ("UNSET", None)],
        "files": [
            (f"{context}/Dockerfile", memo.file_facts(f"{context}/Dockerfile")),
            (f"{context}/.dockerignore", None),
        ],
        "contexts": [
            (
                context,
                [f"{context}/.dockerignore"],
                {b"src": walk_tree(root, None, b"src")},
                {b"": {name: facts[0] & 0o170000 for name, facts in list_directory(root).items()}},
                {b"src/a.c": look_up(root, None, b"src/a.c"), b"missing": None},
            )
        ],
        "result": {
            "image_id": "sha256:1",
            "tags": ["app:latest"],
            "steps": ["[1/1] COPY . ."],
            "stages": ["s"],
            "skipped": ["debug"],
        },
    }


ENVIRONMENT = {"VERSION": "1"}


def holds(record: dict[str, Any], place: Path, **environment: str) -> bool:
    return memo.is_current(record, str(place / "root"), {**ENVIRONMENT, **environment})


def test_record_holds_while_nothing_changes(place: Path) -> None:
    assert holds(record_of(place), place)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda c: (c / "src" / "a.c").write_text("b"), id="content"),
        pytest.param(lambda c: (c / "src" / "a.c").chmod(0o600), id="mode"),
        pytest.param(lambda c: (c / "src" / "b.c").write_text(""), id="new file in a tree"),
        pytest.param(lambda c: (c / "src" / "a.c").unlink(), id="file gone"),
        pytest.param(lambda c: (c / "new").write_text(""), id="new name in a listed directory"),
        pytest.param(lambda c: (c / "missing").write_text(""), id="looked up in vain"),
        pytest.param(lambda c: (c / "Dockerfile").write_text("FROM scratch AS x\n"), id="Dockerfile"),
        pytest.param(lambda c: (c / ".dockerignore").write_text("x\n"), id="ignore file appears"),
    ],
)
def test_record_ends_with_any_change(place: Path, change: Any) -> None:
    record = record_of(place)
    change(place / "context")
    assert not holds(record, place)


def test_record_ends_with_the_environment_the_generation_and_the_version(place: Path) -> None:
    record = record_of(place)
    assert not holds(record, place, VERSION="2")
    assert not holds(record, place, UNSET="now set")
    assert not holds({**record, "version": ("elsewhere", 1)}, place)
    (place / "root" / "generation").write_text("20")
    assert not holds(record, place)


def test_a_file_that_is_not_read_changes_nothing(place: Path) -> None:
    record = record_of(place)
    (place / "context" / "Dockerfile.other").mkdir()
    record["contexts"] = [(*record["contexts"][0][:3], {}, record["contexts"][0][4])]
    assert holds(record, place)


def test_records_survive_the_disk_and_damage_is_no_record(place: Path) -> None:
    root, key = str(place / "root"), memo.memo_key(["build", "."], "/x")
    later = time.time_ns() + 10_000_000_000
    assert memo.save_record(root, key, record_of(place), later)
    loaded = memo.load_record(root, key)
    assert loaded == record_of(place)
    path = place / "root" / "memo" / key.decode()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert memo.load_record(root, key) is None
    assert memo.load_record(root, memo.memo_key(["build"], "/x")) is None


def test_a_racy_file_makes_no_record(place: Path) -> None:
    root, key = str(place / "root"), memo.memo_key(["build", "."], "/x")
    assert not memo.save_record(root, key, record_of(place), time.time_ns())
    assert memo.load_record(root, key) is None


def test_keys_differ_by_words_directory_and_their_boundaries() -> None:
    keys = {memo.memo_key(words, place) for words in (["a", "b"], ["ab"], ["a", "b", ""]) for place in ("/x", "/y")}
    assert len(keys) == 6


def replay(place: Path, words: list[str]) -> tuple[int | None, str, str]:
    out, err = io.StringIO(), io.StringIO()
    environment = {"HOME": str(place), "JETTISON_ROOT": str(place / "root"), **ENVIRONMENT}
    code = memo.replay(words, "/x", environment, out, err)
    return code, out.getvalue(), err.getvalue()


def test_replay_prints_what_the_build_would(place: Path) -> None:
    for words in (["build", "-q", "."], ["build", "--progress", "plain", "."]):
        memo.save_record(str(place / "root"), memo.memo_key(words, "/x"), record_of(place), time.time_ns() + 10**10)
    assert replay(place, ["build", "-q", "."]) == (0, "sha256:1\n", "")
    code, out, err = replay(place, ["build", "--progress", "plain", "."])
    assert (code, out) == (0, "")
    assert err.splitlines()[:3] == ["stage debug is not needed: skipped", "#1 [1/1] COPY . .", "#1 CACHED"]


@pytest.mark.parametrize(
    "words",
    [
        ["images"],
        ["build", "--no-cache", "."],
        ["build", ".", "extra"],
        ["build", "-o", "out", "."],
        ["build", "--progress", "rawjson", "."],
    ],
)
def test_replay_leaves_all_other_commands_to_the_builder(place: Path, words: list[str]) -> None:
    memo.save_record(str(place / "root"), memo.memo_key(words, "/x"), record_of(place), time.time_ns() + 10**10)
    assert replay(place, words)[0] is None


def test_a_configuration_file_sends_the_command_the_long_way(place: Path) -> None:
    (place / ".config" / "jettison").mkdir(parents=True)
    (place / ".config" / "jettison" / "config.toml").write_text("")
    words = ["build", "-q", "."]
    memo.save_record(str(place / "root"), memo.memo_key(words, "/x"), record_of(place), time.time_ns() + 10**10)
    assert replay(place, words)[0] is None
