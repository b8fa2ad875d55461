"""The tests lie as the source does."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

_TOP = Path(__file__).parents[2]
_SOURCE = _TOP / "src" / "jettison"
_UNIT = _TOP / "tests" / "unit"
_PACKAGES = {path.name for path in _SOURCE.iterdir() if (path / "__init__.py").exists()}
_ELSEWHERE = {"api", "cli", "render"}
"""Packages whose tests go from end to end: ``tests/cli``, ``tests/integration``."""
_TESTED_WHOLE = {"dockerfile": {"golden_dockerfile", "heredocs", "small_notations"}, "graph": {"render"}}
"""Tests that are about several modules of their package."""


def test_unit_tests_belong_to_packages():
    assert {path.name for path in _UNIT.iterdir() if path.is_dir() and path.name != "__pycache__"} <= _PACKAGES


@pytest.mark.parametrize("package", sorted(_PACKAGES - _ELSEWHERE))
def test_package_has_unit_tests(package):
    assert list((_UNIT / package).glob("test_*.py"))


@pytest.mark.parametrize("path", sorted(_UNIT.glob("*/test_*.py")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_unit_test_is_named_after_a_module_or_says_why(path):
    package, name = path.parent.name, path.stem.removeprefix("test_")
    modules = {each.stem for each in (_SOURCE / package).rglob("*.py")}
    assert name in modules | _TESTED_WHOLE.get(package, set())


def test_no_test_is_defined_twice_in_a_module():
    for path in (_TOP / "tests").rglob("test_*.py"):
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        twice = [name for name, count in Counter(names).items() if count > 1]
        assert not twice, path


def test_no_test_mocks_our_own_modules():
    for path in (_TOP / "tests").rglob("*.py"):
        if path != Path(__file__):
            assert 'mock.patch("jettison' not in path.read_text(), path
