"""The whole-build memo from the builder's side: which requests may have one, what goes into it, how it is answered.

The records and their checks are ``fastpath.memo``'s; see there for what is believed and why.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison import events
from jettison.api.request import BuildRequest, BuildResult, Settings, StepResult
from jettison.digest import Digest
from jettison.fastpath.memo import (
    file_facts,
    is_current,
    load_record,
    memo_key,
    our_version,
    read_generation,
    save_record,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.api.builder import Reads
    from jettison.events import Emit


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """When a build began (nanoseconds of the wall clock), and the store's generation then."""

    at_ns: int
    generation: str


def begin(settings: Settings) -> Began:
    """Return the present moment."""
    return Began(at_ns=time.time_ns(), generation=read_generation(str(settings.root)))


def words_of(request: BuildRequest) -> tuple[str, ...]:
    """Return the words that stand for a request that came from no command line."""
    return ("request", repr(request))


def is_memoable(request: BuildRequest) -> bool:
    """Tell whether an unchanged repetition of the request may be answered from a record.

    Only the local store may be written: an output to a file always runs. A Dockerfile given as text is read by nobody again.
    """
    return (
        not request.no_cache
        and not request.no_cache_filter
        and not request.pull
        and not request.is_reproducible
        and not request.secrets
        and request.dockerfile_text is None
        and all(output.kind == "image" for output in request.outputs)
    )


def recall(request: BuildRequest, settings: Settings, words: Sequence[str]) -> BuildResult | None:
    """Return the answer of a record whose facts all hold, or None."""
    if not settings.has_memo or not is_memoable(request):
        return None
    root = str(settings.root)
    record = load_record(root, memo_key(words, os.getcwd()))  # noqa: PTH109  a text, as the command line's side has it
    if record is None or not is_current(record, root, settings.environment):
        return None
    result = record["result"]
    return BuildResult(
        image_id=Digest(result["image_id"]),
        tags=tuple(result["tags"]),
        steps=tuple(
            StepResult(name=name, stage=stage, reason="recipe-hit")
            for name, stage in zip(result["steps"], result["stages"], strict=True)
        ),
        seconds=0.0,
        is_from_memo=True,
        skipped_stages=tuple(result["skipped"]),
        metadata=result["metadata"],
    )


def emit_answer(result: BuildResult, emit: Emit, started: float) -> None:
    """Send the events that a build with every step cached sends."""
    now = time.monotonic()
    emit(events.BuildStarted(at=now, build_id="", step_count=len(result.steps)))
    for stage in result.skipped_stages:
        emit(events.StageSkipped(at=now, stage=stage))
    for position, step in enumerate(result.steps):
        emit(events.OpFinished(at=now, op=position, name=step.name, stage=step.stage, reason="recipe-hit", seconds=0.0))
    emit(
        events.BuildFinished(
            at=now, image_id=result.image_id, tags=result.tags, seconds=now - started, ran=0, cached=len(result.steps)
        )
    )


def keep(settings: Settings, words: Sequence[str], reads: Reads, result: BuildResult, began: Began) -> bool:
    """Store the record of a build that was answered from the cache alone; tell whether it was stored.

    If tags, images or layers went or changed since the build began, by itself or another process, there is no record.
    """
    if not settings.has_memo or began.generation != read_generation(str(settings.root)):
        return False
    context = reads.context.reads()
    files = [str(path.absolute()) for path in (reads.dockerfile, *settings.config_files) if path is not None]
    directory = str(reads.context.directory)
    record = {
        "version": our_version(),
        "generation": began.generation,
        "env": [(name, settings.environment.get(name)) for name in reads.variables],
        "files": [(path, file_facts(path)) for path in (*files, *map(str, reads.ignore_file.candidates))],
        "contexts": [
            (
                directory,
                [str(path.absolute()) for path in reads.ignore_file.candidates],
                {path: dict(tree) for path, tree in context.trees.items()},
                {path: dict(kinds) for path, kinds in context.directories.items()},
                dict(context.paths),
            )
        ],
        "result": {
            "image_id": str(result.image_id),
            "tags": list(result.tags),
            "steps": [step.name for step in result.steps],
            "stages": [step.stage for step in result.steps],
            "skipped": list(result.skipped_stages),
            "metadata": dict(result.metadata),
        },
    }
    return save_record(str(settings.root), memo_key(words, os.getcwd()), record, began.at_ns)  # noqa: PTH109
