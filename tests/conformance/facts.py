"""What an image means: its files and its configuration as flat facts that can be compared one by one."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from dataclasses import dataclass

ABSENT = "absent"
NEW = "new"
"""Stands for every time after ``OLD_BEFORE``: the time of the build itself, which differs between two builds."""
OLD_BEFORE = 1_700_000_000
# Names of no meaning to the one who runs the image.
_IGNORED_LABELS = ("io.buildah.version",)
_TAR_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char device",
    tarfile.BLKTYPE: "block device",
}
_STAT_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char device",
    stat.S_IFBLK: "block device",
}


@dataclass(frozen=True)
class Image:
    """``files``: path to field to text, None if they can not be had; ``config``: name of a field (with its key) to a JSON value."""

    files: dict
    config: dict


@dataclass(frozen=True, order=True)
class Difference:
    """One fact the two builders disagree about; ``where`` is a path or ``config``."""

    where: str
    field: str
    buildah: object
    jettison: object


def compare(theirs, ours):
    """Return every difference of two images, sorted."""
    found = []
    paths = theirs.files.keys() | ours.files.keys() if theirs.files is not None else ()
    for path in paths:
        left, right = theirs.files.get(path), ours.files.get(path)
        if left is None or right is None:
            kinds = (each["kind"] if each else ABSENT for each in (left, right))
            found.append(Difference(path, "kind", *kinds))
            continue
        fields = sorted(left.keys() | right.keys())
        found += [_difference(path, name, left, right) for name in fields if left.get(name) != right.get(name)]
    names = theirs.config.keys() | ours.config.keys()
    found += [
        _difference("config", name, theirs.config, ours.config)
        for name in names
        if theirs.config.get(name) != ours.config.get(name)
    ]
    return sorted(found, key=lambda each: (each.where, each.field))


def _difference(where, name, left, right):
    return Difference(where, name, left.get(name, ABSENT), right.get(name, ABSENT))


def facts_of_directory(root):
    """Return the facts of all files below a directory; nothing is followed."""
    found, inodes = {}, {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            key = os.path.relpath(path, root)
            info = os.lstat(path)
            kind = _STAT_KINDS[stat.S_IFMT(info.st_mode)]
            found[key] = _facts(kind, info.st_mode, (info.st_uid, info.st_gid), info.st_mtime)
            if kind == "symlink":
                found[key]["target"] = os.readlink(path)
            elif kind == "file":
                with open(path, "rb") as file:
                    found[key]["content"] = _content(file.read())
                inodes.setdefault(info.st_ino, []).append(key)
    _name_links(found, inodes.values())
    return found


def facts_of_tar(path):
    """Return the facts of all members of a tar of a whole root file system."""
    found, groups = {}, {}
    with tarfile.open(path) as tar:
        for member in tar:
            key = member.name.removeprefix("./").rstrip("/")
            if key in {"", "."}:
                continue
            if member.islnk():
                first = member.linkname.removeprefix("./")
                found[key] = dict(found[first])
                groups.setdefault(first, [first]).append(key)
                continue
            kind = _TAR_KINDS[member.type]
            found[key] = _facts(kind, member.mode, (member.uid, member.gid), member.mtime)
            if kind == "symlink":
                found[key]["target"] = member.linkname
            elif kind == "file":
                found[key]["content"] = _content(tar.extractfile(member).read())
    _name_links(found, groups.values())
    return found


def _facts(kind, mode, owner, mtime):
    facts = {"kind": kind, "owner": f"{owner[0]}:{owner[1]}"}
    if kind != "symlink":
        facts["mode"] = f"{stat.S_IMODE(mode):04o}"
    if kind == "file":  # what a copy does with the times of directories and links is nobody's promise
        facts["mtime"] = str(int(mtime)) if mtime < OLD_BEFORE else NEW
    return facts


def _content(data):
    """Return short text as it is, anything else as its size and digest."""
    if len(data) <= 400 and data.isascii() and b"\0" not in data:
        return data.decode()
    return f"{len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()}"


def _name_links(found, groups):
    for names in groups:
        if len(names) > 1:
            for name in names:
                found[name]["links"] = " ".join(sorted(names))


def config_facts(config):
    """Return the meaning of an image's configuration: what is unset and what is empty mean the same."""
    facts = {}
    for name in ("Cmd", "Entrypoint", "User", "StopSignal", "Shell", "OnBuild"):
        facts[name] = config.get(name)
    facts["WorkingDir"] = config.get("WorkingDir") or "/"
    facts |= {f"Env.{name}": text for name, _, text in (pair.partition("=") for pair in config.get("Env") or ())}
    facts |= {f"Labels.{name}": text for name, text in (config.get("Labels") or {}).items()}
    facts |= {f"ExposedPorts.{name}": "yes" for name in config.get("ExposedPorts") or ()}
    facts |= {f"Volumes.{name}": "yes" for name in config.get("Volumes") or ()}
    facts |= {f"Healthcheck.{name}": value for name, value in (config.get("Healthcheck") or {}).items()}
    ignored = {f"Labels.{name}" for name in _IGNORED_LABELS}
    keeps_empty = ("Env.", "Labels.")
    return {
        name: value for name, value in facts.items() if name not in ignored and (value or name.startswith(keeps_empty))
    }
