"""The Dockerfile of a request, read and parsed; the epoch that the caller or the last commit gives."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from jettison.dockerfile.parser import parse_dockerfile
from jettison.errors import ContextError, DockerfileError, HostError, UsageError
from jettison.span import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jettison.api.request import BuildRequest
    from jettison.dockerfile.nodes import Dockerfile
    from jettison.limits import Limits

_NAMES = ("Dockerfile", "dockerfile")


def find_dockerfile(request: BuildRequest) -> Path | None:
    """Return the path of the request's Dockerfile; None when its text is given.

    Raises:
        ContextError: there is none (slug ``no-dockerfile``), or no context directory (slug ``context``).

    """
    if request.dockerfile_text is not None:
        return None
    if not request.context.is_dir():
        raise ContextError(
            f"the build context {str(request.context)!r} is not a directory",
            hint="give the directory that holds the sources",
        )
    if request.dockerfile is not None:
        path = request.dockerfile
        if not path.exists() and not path.is_absolute() and (request.context / path).exists():
            path = request.context / path
        if not path.exists():
            raise ContextError(
                f"no Dockerfile at {str(request.dockerfile)!r}", slug="no-dockerfile", hint="check the path after -f"
            )
        return path
    for name in _NAMES:
        path = request.context / name
        if path.exists():
            return path
    raise ContextError(
        f"no Dockerfile in {str(request.context)!r}",
        slug="no-dockerfile",
        hint="name it with -f, or run in its directory",
    )


def read_dockerfile(request: BuildRequest, path: Path | None, limits: Limits) -> Dockerfile:
    """Return the parsed Dockerfile.

    Raises:
        DockerfileError: not UTF-8, too large, or faults of the language.
        ContextError: it can't be read (slug ``dockerfile-unreadable``).

    """
    if path is None:
        return parse_dockerfile(SourceFile(name="-", text=request.dockerfile_text or ""))
    try:
        with path.open("rb") as file:
            data = file.read(limits.dockerfile_bytes + 1)
    except OSError as error:
        raise ContextError(f"can't read {str(path)!r}: {error.strerror}", slug="dockerfile-unreadable") from error
    if len(data) > limits.dockerfile_bytes:
        raise DockerfileError(
            f"{str(path)!r} is larger than {limits.dockerfile_bytes} bytes",
            slug="dockerfile-too-large",
            hint="is it a Dockerfile?",
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DockerfileError(
            f"line {line} of {str(path)!r} is not UTF-8", slug="dockerfile-encoding", hint="save the file as UTF-8"
        ) from error
    return parse_dockerfile(SourceFile(name=str(path), text=text))


def find_epoch(request: BuildRequest, environment: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH in seconds: the request's, the environment's, or (when asked) the last commit's; None for none.

    Raises:
        UsageError: not a number of seconds.
        HostError: the commit's time was asked for and can't be had.

    """
    if request.source_date_epoch is not None:
        return request.source_date_epoch
    text = environment.get("SOURCE_DATE_EPOCH", "").strip()
    if "SOURCE_DATE_EPOCH" in request.build_args:
        text = request.build_args["SOURCE_DATE_EPOCH"] or text
        if not text.isdecimal():
            return None  # the plan judges a value that is no number
    if text:
        if not text.isdecimal() or len(text) > 12:
            raise UsageError(
                f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds", hint="for example: git log -1 --format=%ct"
            )
        return int(text)
    return _commit_time(request.context) if request.is_reproducible else None


def _commit_time(directory: Path) -> int:
    command = ["git", "-C", str(directory), "-c", "core.fsmonitor=false", "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"can't ask git for the last commit's time: {error}", hint="set SOURCE_DATE_EPOCH") from error
    if done.returncode or not done.stdout.strip().isdecimal():
        raise HostError(
            f"git has no commit for {str(directory)!r}: {done.stderr.strip()[:200]}", hint="set SOURCE_DATE_EPOCH"
        )
    return int(done.stdout)
