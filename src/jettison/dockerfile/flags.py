"""The flags of an instruction, checked against those it knows.

Flag texts and a table of kinds go in, values come out; every wrong flag is collected in the statement. A flag of kind
``bool`` may stand without a value; ``text`` wants exactly one value; ``list`` may repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from jettison.span import nearest_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.dockerfile.nodes import Word
    from jettison.dockerfile.statements import FlagText, Statement

FlagKind: TypeAlias = Literal["bool", "text", "list"]
Flags: TypeAlias = "dict[str, list[FlagText]]"

_OWNERS = {
    "from": "COPY",
    "parents": "COPY",
    "checksum": "ADD",
    "keep-git-dir": "ADD",
    "unpack": "ADD",
    "mount": "RUN",
    "network": "RUN",
    "security": "RUN",
    "chown": "COPY",
    "chmod": "COPY",
    "platform": "FROM",
}


def read_flags(statement: Statement, known: Mapping[str, FlagKind]) -> Flags:
    """Return the values of the flags by name, without empty ones; those of ``bool`` flags are ``true`` or ``false``.

    Collects ``unknown-flag``, ``duplicate-flag``, ``flag-without-value`` and ``flag-not-boolean``.
    """
    values: dict[str, list[FlagText]] = {}
    for flag in statement.flags:
        name, equals, value = flag.text[2:].partition("=")
        kind = known.get(name)
        shown = flag.cut(0, 2 + len(name))
        if kind is None:
            statement.report(
                "unknown-flag",
                f"{statement.keyword} has no flag '--{name}'",
                shown.span(),
                hint=_unknown_hint(statement.keyword, name, known),
            )
        elif name in values and kind != "list":
            statement.report("duplicate-flag", f"'--{name}' is given twice", shown.span(), hint="remove one of the two")
        elif kind == "bool":
            values[name] = [_read_boolean(statement, flag, name, equals, value)]
        elif not equals:
            statement.report(
                "flag-without-value",
                f"'--{name}' needs a value",
                shown.span(),
                hint=f"write --{name}=VALUE, with '=' and without blanks",
            )
        else:
            values.setdefault(name, []).append(flag.cut(3 + len(name)))
    return values


def first_word(flags: Flags, name: str) -> Word | None:
    """Return the value of a flag as a word; None when it is not given or empty."""
    values = flags.get(name, ())
    return values[0].word() if values and values[0].text else None


def all_words(flags: Flags, name: str) -> tuple[Word, ...]:
    """Return all values of a flag as words, in order."""
    return tuple(value.word() for value in flags.get(name, ()))


def _read_boolean(statement: Statement, flag: FlagText, name: str, equals: str, value: str) -> FlagText:
    shown = flag.cut(3 + len(name)) if value else flag
    lowered = value.lower()
    if lowered not in {"true", "false"} and (value or equals):
        statement.report(
            "flag-not-boolean",
            f"'--{name}' is true or false, not '{value}'",
            shown.span(),
            hint=f"write --{name}, --{name}=true or --{name}=false",
        )
    return type(flag)(text=lowered or "true", places=shown.places, line=flag.line, start=shown.start, end=shown.end)


def _unknown_hint(keyword: str, name: str, known: Mapping[str, FlagKind]) -> str:
    near = nearest_name(name, tuple(known))
    if near:
        return f"did you mean '--{near}'?"
    owner = _OWNERS.get(name)
    if owner and owner != keyword:
        return f"'--{name}' is a flag of {owner}; remove it here"
    if not known:
        return f"{keyword} takes no flags; write '--' before an argument that begins with '--'"
    return "the flags are " + ", ".join(f"--{other}" for other in sorted(known))
