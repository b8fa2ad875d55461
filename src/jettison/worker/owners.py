"""User and group names of an image -> numbers, from the image's own /etc/passwd and /etc/group.

Owns the two files' format and the rules for names and numbers; refuses to ask the host (no NSS, no locale) and to guess: an
unknown name is an error where BuildKit silently takes root. The files are read through the union of the stage's layers,
inside its root, regular files only, with a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from jettison.errors import StepError
from jettison.filetree import EntryKind
from jettison.guestpath import GuestPath
from jettison.span import nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jettison.filetree import ContentRef, FileEntry
    from jettison.limits import Limits
    from jettison.plan.ops import Owner
    from jettison.worker.select import SourceTree

    ReadContent = Callable[[FileEntry, ContentRef, int], bytes]

_PASSWD = GuestPath("/etc/passwd")
_GROUP = GuestPath("/etc/group")
_ID_MAX = (1 << 31) - 1
"""Larger ids turn negative somewhere on the way to a running program (CVE-2024-40635)."""


class Ids(NamedTuple):
    """Numeric owner of a file."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswdEntry:
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEntry:
    """A line of /etc/group."""

    name: str
    gid: int
    members: tuple[str, ...]


class Accounts:
    """The accounts of one stage; each file is read when a name is first looked up, at most once."""

    def __init__(self, tree: SourceTree, read_content: ReadContent, limits: Limits) -> None:
        self._tree = tree
        self._read_content = read_content
        self._limits = limits
        self._users: tuple[PasswdEntry, ...] | None = None
        self._groups: tuple[GroupEntry, ...] | None = None

    @property
    def users(self) -> tuple[PasswdEntry, ...]:
        """All well-formed lines of /etc/passwd in order; none when the file is missing.

        Raises:
            StepError: ``accounts-unreadable``: no regular file, or too large.

        """
        if self._users is None:
            self._users = tuple(parse_passwd(self._read(_PASSWD)))
        return self._users

    @property
    def groups(self) -> tuple[GroupEntry, ...]:
        """All well-formed lines of /etc/group, as ``users``."""
        if self._groups is None:
            self._groups = tuple(parse_group(self._read(_GROUP)))
        return self._groups

    def find(self, owner: Owner) -> Ids:
        """Return the numbers that a user and an optional group stand for.

        Digits are a number even where an account has such a name. Without a group a number is its own group, a name has
        its primary group (Dockerfile reference, COPY --chown).

        Raises:
            StepError: ``unknown-user``, ``unknown-group`` (also for numbers above 2147483647), ``accounts-unreadable``.

        """
        if is_number(owner.user):
            uid = gid = _parse_id(owner.user, "user")
        else:
            user = self.user(owner.user)
            uid, gid = user.uid, user.gid
        if owner.group is not None:
            gid = self.group_id(owner.group)
        return Ids(uid, gid)

    def user(self, name: str) -> PasswdEntry:
        """Return the account of that name (the first, as glibc has it). Raises StepError ``unknown-user``."""
        for entry in self.users:
            if entry.name == name:
                return entry
        raise _unknown("user", name, [entry.name for entry in self.users])

    def group_id(self, group: str) -> int:
        """Return the number of a group given by number or name. Raises StepError ``unknown-group``."""
        if is_number(group):
            return _parse_id(group, "group")
        for entry in self.groups:
            if entry.name == group:
                return entry.gid
        raise _unknown("group", group, [entry.name for entry in self.groups])

    def _read(self, path: GuestPath) -> bytes:
        found = self._tree.lookup(self._tree.resolve(path).key)
        if found is None:
            return b""
        entry, ref, _ = found
        if entry.kind is not EntryKind.FILE:
            raise _unreadable(path, "it is no regular file")
        if entry.size > self._limits.passwd_bytes:
            raise _unreadable(path, f"it is larger than {self._limits.passwd_bytes} bytes")
        return self._read_content(entry, ref, self._limits.passwd_bytes) if entry.size else b""


def parse_passwd(data: bytes) -> Iterator[PasswdEntry]:
    """Yield the well-formed lines of a passwd file: name, password, uid, gid, gecos, home, shell (passwd(5))."""
    for fields in _lines(data, at_least=4):
        if is_number(fields[2]) and is_number(fields[3]):
            uid, gid = int(fields[2]), int(fields[3])
            if uid <= _ID_MAX and gid <= _ID_MAX:
                yield PasswdEntry(name=fields[0], uid=uid, gid=gid, home=fields[5] if len(fields) > 5 else "")


def parse_group(data: bytes) -> Iterator[GroupEntry]:
    """Yield the well-formed lines of a group file: name, password, gid, members (group(5))."""
    for fields in _lines(data, at_least=3):
        if is_number(fields[2]) and int(fields[2]) <= _ID_MAX:
            members = tuple(name for name in fields[3].split(",") if name) if len(fields) > 3 else ()
            yield GroupEntry(name=fields[0], gid=int(fields[2]), members=members)


def is_number(text: str) -> bool:
    """Tell whether the text is a decimal number: ASCII digits only, no sign, no blank, at most 20."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def _lines(data: bytes, *, at_least: int) -> Iterator[list[str]]:
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= at_least and fields[0] and not fields[0].startswith(("#", "+", "-")):
            yield fields


def _parse_id(text: str, what: str) -> int:
    number = int(text)
    if number > _ID_MAX:
        raise StepError(
            f"the {what} id '{text}' is too large", slug=f"unknown-{what}", hint=f"use a number up to {_ID_MAX}"
        )
    return number


def _unknown(what: str, name: str, known: list[str]) -> StepError:
    file = _PASSWD if what == "user" else _GROUP
    near = nearest_name(name, known[:1000])
    if near is not None:
        hint = f"did you mean {near!r}?"
    elif known:
        count = f"{len(known)} {what}{'' if len(known) == 1 else 's'}"
        hint = f"create it in an earlier RUN, or give its number: {file} of this stage has {count}"
    else:
        hint = f"give its number: this stage has no {file}"
    return StepError(f"there is no {what} {name!r} in {file} of this stage", slug=f"unknown-{what}", hint=hint)


def _unreadable(path: GuestPath, reason: str) -> StepError:
    return StepError(
        f"can't look up names in {str(path)!r} of this stage: {reason}",
        slug="accounts-unreadable",
        hint="give numbers instead of names",
    )
