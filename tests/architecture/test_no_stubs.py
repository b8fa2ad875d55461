"""Nothing unfinished and nothing of one machine in the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_TOP = Path(__file__).parents[2]
_TEXTS = {
    ".cfg",
    ".css",
    ".go",
    ".html",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".ts",
    ".tsx",
    ".yml",
    "",
}
_SKIPPED = {"__pycache__", "node_modules", "build", "dist"}
_UNFINISHED = re.compile("|".join(("NotImple" + "mented", r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b")))
_MACHINE_PATH = re.compile(
    r"/(?:home|Users)/(?!user\b|node\b|nobody\b|app\b|nonroot\b)[a-z][\w.-]*/"  # somebody's home
    r"|(?<![\w.$}])/(?:work|workspace|workspaces|builds)/\w"  # where build machines check out
)
_TEMPORARY = re.compile(r"(?<![\w.$}])/tmp/[a-z]{3,}/|(?<![\w.$}])/opt/\w+/bin/python")


def files(*tops: str) -> list[Path]:
    found = []
    for top in tops:
        for path in sorted((_TOP / top).rglob("*")) if (_TOP / top).is_dir() else [_TOP / top]:
            parts = path.relative_to(_TOP).parts
            is_hidden = any(part in _SKIPPED or part.endswith(".egg-info") for part in parts)
            if path.is_file() and not path.is_symlink() and not is_hidden and path.suffix in _TEXTS:
                found.append(path)
    return found


def hits(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(_TOP)}:{number}: {line.strip()[:100]}")
    return found


def test_source_holds_nothing_unfinished():
    assert not hits(_UNFINISHED, files("src", "tools", "bases", "benchmarks"))


@pytest.mark.parametrize(
    "top", ["src", "docs", "tools", "bases", "benchmarks", "examples", "README.md", "CONTRIBUTING.md", "Makefile"]
)
def test_tree_holds_no_path_of_one_machine(top):
    paths = files(top)
    assert paths
    assert not hits(_MACHINE_PATH, paths)
    assert not hits(_TEMPORARY, paths)


def test_tests_hold_no_path_of_one_machine():
    own = Path(__file__)
    assert not hits(_MACHINE_PATH, [path for path in files("tests") if path != own and path.suffix == ".py"])


def test_packages_hold_nothing_but_a_docstring_in_init():
    for path in (_TOP / "src" / "jettison").glob("*/**/__init__.py"):
        if path.parent.name == "api":
            continue  # the public door
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        assert lines, path
        assert lines[0].startswith('"""'), path
        assert path.read_text().count('"""') == 2, path
        assert lines[-1].endswith('"""'), path


def test_modules_have_docstrings_and_speaking_names():
    for path in (_TOP / "src").rglob("*.py"):
        assert path.stem not in {"utils", "util", "helpers", "common", "misc", "manager"}, path
        assert path.read_text().startswith('"""'), path
