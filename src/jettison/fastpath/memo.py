"""The whole-build memo: every fact that a build read, so that an unchanged one is answered by looking at the facts again.

A record is believed only if all of this is as it was: our own version, the variables and files that were read, the tree of
the context below its ignore rules, and the generation of the store (which moves with every tag, image or layer that goes or
changes). A file that could have been written once more unseen (``statcache.is_racy``) makes no record. Remote inputs,
``--pull``, ``--no-cache`` and outputs other than the local store never make or use one. Standard library only, and little
of it: an answer must cost less than importing the builder. The record is a dict of plain values in a marshal file:

- ``version``: ours and the interpreter's; ``generation`` of the store's root
- ``env``: (name, value or None) of each variable read; ``files``: (path, facts or None)
- ``contexts``: (directory, paths of the ignore-file candidates, trees, directories, paths), what the build read of each
  context: see ``walk.walk_tree``, ``walk.list_directory`` (names and file types alone) and ``walk.look_up``
- ``result``: image id, tags, names of the steps and stages, the manifest's digest
"""

from __future__ import annotations

import marshal
import os
import sys
from _hashlib import openssl_sha256 as sha256

from jettison.fastpath.ignore import parse_ignore
from jettison.fastpath.statcache import is_racy
from jettison.fastpath.walk import facts_of, list_directory, look_up, walk_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TextIO

    from jettison.fastpath.ignore import IgnoreRules

    Record = dict[str, Any]

_MAGIC = b"jettison-memo 1 "
_HEADER = _MAGIC + f"{sys.implementation.cache_tag} {marshal.version}\n".encode()
_PLAIN_FLAGS = frozenset(
    {"-t", "--tag", "-f", "--file", "--target", "--build-arg", "--label", "--platform", "--root", "--progress"}
)
_LONE_FLAGS = frozenset({"-q", "--quiet"})


def memo_key(words: Sequence[str], directory: str) -> bytes:
    """Return the name of the record for a command: its words and the directory in which it was given."""
    text = "\0".join((*words, "", directory, str(os.getuid())))
    return sha256(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest().encode()


def load_record(root: str, key: bytes) -> Record | None:
    """Return the stored record, None when there is none or it is damaged."""
    try:
        fd = os.open(_path(root, key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            data = file.read()
    except OSError:
        return None
    start = len(_HEADER) + 32
    payload = data[start:]
    if not data.startswith(_HEADER) or sha256(payload, usedforsecurity=False).digest() != data[len(_HEADER) : start]:
        return None
    try:
        record: object = marshal.loads(payload)  # noqa: S302 - our own file, checked against its digest
    except (ValueError, EOFError, TypeError):
        return None
    return record if isinstance(record, dict) else None


def save_record(root: str, key: bytes, record: Record, began_ns: int) -> bool:
    """Store the record unless one of its files is racy; tell whether it was stored. ``began_ns`` precedes all reading."""
    facts = [found for _, found in record["files"]]
    for _, _, trees, _, paths in record["contexts"]:
        facts += [found for tree in trees.values() for found in tree.values()]
        facts += paths.values()
    if any(found is not None and len(found) > 2 and is_racy(found, began_ns) for found in facts):
        return False
    payload = marshal.dumps(record)
    path = _path(root, key)
    temporary = path + b".%d.tmp" % os.getpid()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(_HEADER + sha256(payload, usedforsecurity=False).digest() + payload)
        os.rename(temporary, path)
    except OSError:
        return False
    return True


def is_current(record: Record, root: str, environment: Mapping[str, str]) -> bool:
    """Tell whether every fact of the record still holds, the cheap ones first."""
    return (
        record["version"] == our_version()
        and record["generation"] == read_generation(root)
        and all(environment.get(name) == value for name, value in record["env"])
        and all(file_facts(path) == found for path, found in record["files"])
        and all(is_context_current(*context) for context in record["contexts"])
    )


def file_facts(path: str) -> tuple[int, ...] | None:
    """Return the facts of what stands at the path, symlinks followed; None when there is nothing to read."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return facts_of(status)


def is_context_current(
    directory: str,
    candidates: Sequence[str],
    trees: Mapping[bytes, Mapping[bytes, tuple[int, ...]]],
    directories: Mapping[bytes, Mapping[bytes, int]],
    paths: Mapping[bytes, tuple[int, ...] | None],
) -> bool:
    """Tell whether everything that a build read of a context is as it was, under the first ignore file that exists."""
    rules = None
    for candidate in candidates:
        try:
            with open(candidate, "rb") as file:
                rules = parse_ignore(file.read())
            break
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return False
    root = os.fsencode(directory)
    return (
        all(look_up(root, rules, path) == found for path, found in paths.items())
        and all(_kinds(root, rules, path) == kinds for path, kinds in directories.items())
        and all(walk_tree(root, rules, start) == tree for start, tree in trees.items())
    )


def our_version() -> tuple[str, int]:
    """Return what stands for this program: where it lies and when its builder last changed."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    newest = 0
    for base in ("", "api", "plan", "graph", "dockerfile", "worker", "layer", "oci", "fastpath", "context", "snapshot"):
        try:
            newest = max(newest, os.stat(os.path.join(package, base)).st_mtime_ns)
        except OSError:
            continue
    return package, newest


def read_generation(root: str) -> str:
    """Return the store's generation as its file has it; empty when there is no store."""
    try:
        with open(os.path.join(root, "generation"), encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def replay(
    argv: Sequence[str], directory: str, environment: Mapping[str, str], stdout: TextIO, stderr: TextIO
) -> int | None:
    """Answer a ``build`` command from its record: print what the build would, and return 0; None when it must be done.

    Only commands of a few plain flags are answered here; all others go the long way, which asks the memo again.
    """
    flags = _plain_flags(argv)
    if flags is None:
        return None
    root = default_root(flags, environment)
    record = load_record(root, memo_key(argv, directory)) if root is not None else None
    if root is None or record is None or not is_current(record, root, environment):
        return None
    progress = flags.get("--progress", environment.get("BUILDKIT_PROGRESS", "auto"))
    if progress not in {"auto", "plain", "tty", "quiet"}:
        return None
    _show(record["result"], "-q" if "-q" in flags else progress, environment, (stdout, stderr))
    return 0


def default_root(flags: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """Return the store's root where no configuration file has a say; None where one exists."""
    chosen = flags.get("--root") or environment.get("JETTISON_ROOT")
    home = environment.get("HOME") or "/"
    config = environment.get("XDG_CONFIG_HOME") or home + "/.config"
    if any(os.path.exists(path) for path in (config + "/jettison/config.toml", "/etc/jettison/config.toml")):
        return None
    if not chosen:
        chosen = (
            "/var/lib/jettison"
            if os.geteuid() == 0
            else (environment.get("XDG_DATA_HOME") or home + "/.local/share") + "/jettison"
        )
    return os.path.abspath(chosen)


def _plain_flags(argv: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    words = iter(argv)
    positional = []
    for word in words:
        name, equals, value = word.partition("=")
        if word in _LONE_FLAGS:
            found["-q"] = ""
        elif name in _PLAIN_FLAGS:
            found[name] = value if equals else next(words, "")
        elif word.startswith("-"):
            return None
        else:
            positional.append(word)
    return found if len(positional) == 2 and positional[0] == "build" else None


def _show(
    result: Record,
    progress: str,
    environment: Mapping[str, str],
    streams: tuple[TextIO, TextIO],
) -> None:
    stdout, stderr = streams
    if progress == "-q":
        stdout.write(result["image_id"] + "\n")
        return
    is_terminal = progress == "tty" or (
        progress == "auto" and stderr.isatty() and environment.get("TERM", "dumb") != "dumb"
    )
    lines: list[str] = []
    for stage in result["skipped"]:
        text = f"stage {stage} is not needed: skipped"
        lines.append(f"- {text}" if is_terminal else text)
    for number, name in enumerate(result["steps"], 1):
        lines += [f"✔ {name} CACHED"] if is_terminal else [f"#{number} {name}", f"#{number} CACHED"]
    if progress == "quiet":
        lines.clear()
    count = len(result["steps"])
    lines.append(" ".join((result["image_id"], *result["tags"])))
    lines.append(f"{count} steps: 0 ran, {count} cached, unchanged")
    stderr.write("\n".join(lines) + "\n")


def _kinds(root: bytes, rules: IgnoreRules | None, path: bytes) -> dict[bytes, int]:
    return {name: facts[0] & 0o170000 for name, facts in list_directory(root, rules, path).items()}


def _path(root: str, key: bytes) -> bytes:
    return os.fsencode(root) + b"/memo/" + key
