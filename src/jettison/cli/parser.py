"""The argument parser: like argparse's own, but an unknown flag or command suggests the nearest, and errors are ours."""

from __future__ import annotations

import argparse
import difflib
from typing import NoReturn

from jettison.errors import UsageError
from jettison.span import nearest_name


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises ``UsageError`` instead of exiting; help keeps line breaks of examples."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)  # type: ignore[arg-type]  # argparse's own keywords

    def error(self, message: str) -> NoReturn:
        """Raise the usage error."""
        raise UsageError(message, hint=self._hint(message))

    def unknown_flags(self, words: list[str]) -> NoReturn:
        """Raise the error for words that no option took."""
        first = words[0]
        if first.startswith("-"):
            known = [option for action in self._actions for option in action.option_strings]
            near = nearest_name(first.partition("=")[0], known)
            hint = f"did you mean {near!r}?" if near else f"see '{self.prog} --help'"
            raise UsageError(
                f"unknown flag {first.partition('=')[0]!r} for '{self.prog}'", slug="unknown-flag", hint=hint
            )
        raise UsageError(f"unexpected argument {first!r} for '{self.prog}'", hint=f"see '{self.prog} --help'")

    def _hint(self, message: str) -> str:
        if "invalid choice: " in message:
            wanted = message.partition("invalid choice: '")[2].partition("'")[0]
            names = (
                [
                    name
                    for action in self._subparsers._group_actions  # noqa: SLF001  argparse keeps the names nowhere else
                    for name in (action.choices or ())
                ]
                if self._subparsers
                else []
            )
            near = difflib.get_close_matches(wanted, names, n=1)
            if near:
                return f"did you mean '{near[0]}'?"
        return f"see '{self.prog} --help'"


def pairs(values: list[str], flag: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` words as a mapping.

    Raises:
        UsageError: a word without ``=`` or without a name.

    """
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} takes NAME=VALUE, not {text!r}")
        found[name] = value
    return found


def fields(text: str, flag: str) -> dict[str, str]:
    """Return the fields of ``key=value,key=value`` (CSV: a field may be quoted to hold a comma); a lone key has the value "".

    Raises:
        UsageError: bad quoting or a repeated key.

    """
    import csv

    try:
        row = next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise UsageError(f"{flag}: can't read {text!r}: {error}") from error
    found: dict[str, str] = {}
    for field in row:
        key, _, value = field.partition("=")
        if key.lower() in found:
            raise UsageError(f"{flag}: {key!r} is given twice in {text!r}")
        found[key.strip().lower()] = value
    return found
