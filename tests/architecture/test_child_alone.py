"""The program that starts before a worker grows stays small: so its forks are cheap and nothing of it can be bent."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_SANDBOX = Path(__file__).parents[2] / "src" / "jettison" / "sandbox"
_OWN = "jettison.sandbox"
_ALLOWED = {"__future__", "_signal", "_socket", "ctypes", "errno", "marshal", "os", "struct", "sys"}


def imports_of(path: Path) -> tuple[set[str], set[str]]:
    """What a module imports anywhere in it: names of the library, names of the sandbox package."""
    library, own = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            library |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == _OWN:
            own |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            (own if name.startswith(f"{_OWN}.") else library).add(name.removeprefix(f"{_OWN}."))
    return library, own


def reached() -> dict[str, set[str]]:
    """The modules that ``child.py`` imports, directly or through others, each with what it takes of the library."""
    found: dict[str, set[str]] = {}
    waiting = ["child"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        library, own = imports_of(_SANDBOX / f"{name}.py")
        found[name] = library
        waiting.extend(own)
    return found


@pytest.mark.parametrize(("name", "library"), sorted(reached().items()), ids=sorted(reached()))
def test_module_of_the_child_imports_only_small_modules(name, library):
    assert library <= _ALLOWED


def test_child_is_made_of_few_modules():
    assert (
        {"child", "kernel", "process", "room", "rootfs", "zygote"}
        <= set(reached())
        <= {
            "child",
            "kernel",
            "process",
            "room",
            "rootfs",
            "trial",
            "zygote",
        }
    )


def test_child_loads_nothing_else_at_run_time():
    program = (
        f"import sys, os; sys.path.insert(0, {str(_SANDBOX.parents[1])!r}); before = set(sys.modules)\n"
        "import jettison.sandbox.child\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("jettison.")} <= {
        _OWN,
        *(f"{_OWN}.{name}" for name in reached()),
    }
    heavy = {"re", "json", "typing", "dataclasses", "pathlib", "enum", "threading", "subprocess", "socket", "signal"}
    assert not heavy & loaded
