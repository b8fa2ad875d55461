"""Cases as they lie on disk: how to build one, and how buildah is known to differ from BuildKit, which is the truth.

``cases/NAME/case.toml``: ``about``; ``prepare`` (shell lines run in the copied context for what git can not keep: modes,
hard links, empty directories); ``build_args``; ``buildah`` (flags for it alone); ``bases`` (Dockerfiles of the context built first, each under the name
``conformance-NAME-SUFFIX:1`` for ``Dockerfile.SUFFIX``); ``targets`` (stages compared one by one; the last by default).

``cases/NAME/differs.toml`` and ``cases/differs.toml`` (which holds for all cases): ``[[differs]]`` with ``where`` (a path, may
be a pattern, or ``config``), ``field``, both values, a ``reason``, and ``target`` where only one of the targets is meant.
"""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.facts import ABSENT

CASES = Path(__file__).parent / "cases"
RECORDED_FOR = "1.28."
"""The buildah whose differences are recorded; another one may have mended some, but may not show new ones."""


@dataclass(frozen=True)
class Known:
    """A difference that is explained."""

    where: str
    field: str
    buildah: object
    jettison: object
    reason: str
    target: str = ""

    def explains(self, found, target):
        return (
            self.target in ("", target)
            and fnmatch.fnmatchcase(found.where, self.where)
            and (self.field, self.buildah, self.jettison) == (found.field, found.buildah, found.jettison)
        )


@dataclass(frozen=True)
class Case:
    """One Dockerfile with its context."""

    name: str
    place: Path
    about: str
    prepare: str
    build_args: dict
    buildah: tuple
    bases: tuple
    targets: tuple
    known: tuple

    @property
    def context(self):
        return self.place / "context"


def case_names():
    return sorted(path.parent.name for path in CASES.glob("*/case.toml"))


def read_case(name):
    place = CASES / name
    document = tomllib.loads((place / "case.toml").read_text())
    case = Case(
        name=name,
        place=place,
        about=document.pop("about"),
        prepare=document.pop("prepare", ""),
        build_args=document.pop("build_args", {}),
        buildah=tuple(document.pop("buildah", ())),
        bases=tuple(document.pop("bases", ())),
        targets=tuple(document.pop("targets", ("",))),
        known=read_known(place / "differs.toml"),
    )
    assert not document, f"{name}: unknown keys {sorted(document)}"
    return case


def read_known(path):
    """Return the differences recorded in a file; none if there is no file."""
    if not path.exists():
        return ()
    rows = tomllib.loads(path.read_text())["differs"]
    return tuple(Known(**{"buildah": ABSENT, "jettison": ABSENT, **row}) for row in rows)
