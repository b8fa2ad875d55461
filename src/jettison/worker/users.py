"""``USER`` and ``--user`` to the numbers a process runs with, as docker resolves them.

``name`` and ``uid`` take the primary group and the supplementary groups of the account; an explicit ``:group`` replaces both.
A uid without an account has group 0 and the home ``/``. The primary group always is a supplementary one too: else a set-gid
program would let a process drop it, and with it what a mode like 0705 denies to that group (as in CVE-2022-36109).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.plan.ops import Owner
from jettison.worker.owners import is_number

if TYPE_CHECKING:
    from jettison.worker.owners import Accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedUser:
    """Who a process runs as; ``groups`` are the supplementary ones with ``gid``, ``home`` what HOME is set to."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve_user(accounts: Accounts, text: str) -> ResolvedUser:
    """Return the numbers for ``user[:group]``; the empty text is root.

    Raises:
        StepError: ``unknown-user``, ``unknown-group``, ``accounts-unreadable``.

    """
    user, colon, group = (text or "0").partition(":")
    user = user or "0"
    if is_number(user):
        uid = accounts.find(Owner(user=user)).uid
        account = next((entry for entry in accounts.users if entry.uid == uid), None)
    else:
        account = accounts.user(user)
        uid = account.uid
    gid = account.gid if account is not None else 0
    groups: set[int] = set()
    if colon and group:
        gid = accounts.group_id(group)
    elif account is not None:
        name = account.name
        groups = {entry.gid for entry in accounts.groups if name in entry.members}
    home = account.home if account is not None and account.home else "/"
    return ResolvedUser(uid=uid, gid=gid, groups=tuple(sorted({gid, *groups})), home=home)
