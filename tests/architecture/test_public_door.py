"""What ``import jettison`` promises: few names, typed and explained, and nothing loaded that is not used."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import jettison
from jettison import api

_SOURCE = Path(__file__).parents[2] / "src"
_HEAVY = {"rich", "urllib3", "zstandard", "zlib_ng", "sqlite3", "ssl", "http", "asyncio", "multiprocessing"}
_FAST = {"jettison", "errno", "marshal", "_hashlib", "__future__"}


def modules_after(statement: str, *, is_isolated: bool = True) -> set[str]:
    """The names of all modules that a fresh interpreter has loaded for the statement; ``os`` comes with any start."""
    program = (
        f"import sys, os; sys.path.insert(0, {str(_SOURCE)!r}); before = set(sys.modules)\n"
        f"{statement}\n"
        "print('modules:', *sorted(set(sys.modules) - before))"
    )
    flags = ["-I", "-S"] if is_isolated else ["-I"]
    done = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("modules:")[2].split())


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_import_of_the_package_loads_nothing_but_itself():
    assert modules_after("import jettison") <= {"jettison", "__future__"}


def test_public_names_of_package_and_api_are_the_same():
    assert frozenset(api.__all__) == jettison._PUBLIC
    assert set(dir(jettison)) >= jettison._PUBLIC


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_public_name_is_explained(name):
    value = getattr(jettison, name)
    assert value.__module__.startswith("jettison.")
    text = inspect.getdoc(value) or ""
    assert len(text) > 30
    assert not text.startswith(f"{name}("), "the docstring was made by dataclass()"


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_public_name_is_typed(name):
    value = getattr(jettison, name)
    if inspect.isclass(value):
        public = [field for field in value.__dataclass_fields__ if not field.startswith("_")]
        assert set(public) <= set(value.__annotations__)
        return
    signature = inspect.signature(value)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(each.annotation is not inspect.Parameter.empty for each in signature.parameters.values())


def test_builds_keywords_are_fields_of_the_request():
    own = {"context", "root", "settings", "on_event"}
    fields = typing.cast("typing.Any", jettison.BuildRequest).__dataclass_fields__
    assert set(inspect.signature(jettison.build).parameters) - own <= set(fields)


def test_package_says_that_it_is_typed():
    assert (_SOURCE / "jettison" / "py.typed").exists()


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'bild'"):
        getattr(jettison, "bild")  # noqa: B009 - mypy knows that there is none


@pytest.mark.parametrize("command", ["version", "--version", "--help"])
def test_command_that_builds_nothing_loads_nothing_heavy(command):
    statement = f"from jettison.cli.main import main; main([{command!r}])"
    assert not tops(modules_after(statement, is_isolated=False)) & _HEAVY


def test_entry_of_the_command_line_loads_little_before_the_memo_is_asked():
    loaded = modules_after("import jettison.cli.main")
    assert loaded <= {"jettison", "jettison.cli", "jettison.cli.main", "__future__"}


def test_fast_path_loads_only_light_modules_of_the_standard_library():
    names = sorted(path.stem for path in (_SOURCE / "jettison" / "fastpath").glob("[a-z]*.py"))
    loaded = modules_after("\n".join(f"import jettison.fastpath.{name}" for name in names))
    assert {name for name in loaded if name.startswith("jettison.")} == {
        "jettison.fastpath",
        *(f"jettison.fastpath.{name}" for name in names),
    }
    assert tops(loaded) <= _FAST
