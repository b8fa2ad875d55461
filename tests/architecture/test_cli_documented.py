"""docs/cli.md and the parsers say the same; every command shows an example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jettison.api import settings
from jettison.cli import exits
from jettison.cli.main import make_parser

if TYPE_CHECKING:
    import argparse

_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
_PARSER, _COMMANDS = make_parser()


def section(title: str) -> str:
    """The text below a heading, up to the next one of any level but deeper."""
    found = re.search(rf"^(#+) {re.escape(title)}( .*)?$", _PAGE, re.MULTILINE)
    assert found, f"docs/cli.md has no section {title!r}"
    rest = _PAGE[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings} - {"-h", "--help"}


def documented_flags(text: str) -> set[str]:
    rows = re.findall(r"^\| (`-.*?) \| ", text, re.MULTILINE)
    return {word.split(" ")[0] for row in rows for word in re.findall(r"`(-[^`]+)`", row)}


def test_every_command_has_a_section_and_no_other_has():
    assert set(re.findall(r"^### jettison (\S+)", _PAGE, re.MULTILINE)) == set(_COMMANDS)


@pytest.mark.parametrize("name", _COMMANDS)
def test_flags_of_command_are_documented(name):
    assert documented_flags(section(f"jettison {name}")) == flags_of(_COMMANDS[name])


def test_flags_of_all_commands_are_documented():
    assert documented_flags(_PAGE.partition("\n## Building")[0]) == flags_of(_PARSER)


@pytest.mark.parametrize("name", _COMMANDS)
def test_choices_of_command_are_documented(name):
    text = section(f"jettison {name}")
    for action in _COMMANDS[name]._actions:
        for choice in action.choices or ():
            assert f"`{choice}`" in text, f"{'/'.join(action.option_strings) or action.dest} {choice}"


@pytest.mark.parametrize("name", _COMMANDS)
def test_help_of_command_shows_an_example_of_it(name):
    text = _COMMANDS[name].format_help()
    head, _, examples = text.partition("example")
    assert f"jettison {name}" in examples, head


@pytest.mark.parametrize("name", _COMMANDS)
def test_examples_of_command_name_only_flags_that_exist(name):
    for line in (_COMMANDS[name].epilog or "").splitlines():
        if line.strip().startswith(f"jettison {name}"):
            command = re.split(r" [|>] |  +", line.strip())[0]
            for word in re.findall(r"(?<= )--[a-z-]+", command):
                assert word in flags_of(_COMMANDS[name]), line


def test_exit_codes_are_documented():
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    assert documented == codes


def test_configuration_keys_are_documented():
    assert set(re.findall(r"^\| `(\w+)` \|", section("Configuration"), re.MULTILINE)) == set(settings._KEYS)
