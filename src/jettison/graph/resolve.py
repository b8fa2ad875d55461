"""What a name in FROM, ``COPY --from`` or ``RUN --mount from`` stands for: a stage, an image, or nothing at all.

Owns the rules of visibility. A stage sees the stages above it; of two with one name the last above the use counts. Names are
compared without case. ``COPY --from`` also takes the 0-based index of a stage. A name that no stage has is an image.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import AnyInstruction, Copy, From, Mount, Onbuild, Run, Word
from jettison.errors import GraphError
from jettison.graph.stage import Edge, ImageSource, ScratchSource, Source, StageSource
from jettison.reference import parse_reference
from jettison.span import Span, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_INDEX = re.compile(r"[+-]?[0-9]{1,9}")
_EXPANDED = re.compile(r"[$\"'\\`]")
SCRATCH = "scratch"


def resolve_base(name: str, span: Span, stages: Sequence[From], index: int) -> Source:
    """Return what the FROM of the stage at ``index`` stands on; ``name`` is its base after expansion.

    A stage below, or the stage itself, is never meant: ``FROM node AS node`` is usual.

    Raises:
        GraphError: ``invalid-reference``.

    """
    known = _last_named(name, stages[:index])
    if known is not None:
        return StageSource(index=known)
    if name == SCRATCH:
        return ScratchSource()
    return _image(name, span, stages, index)


def resolve_copy_source(word: Word, stages: Sequence[From], index: int) -> Source:
    """Return what ``COPY --from`` in the stage at ``index`` names.

    Raises:
        GraphError: ``from-variable``, ``unknown-stage``, ``later-stage``, ``self-reference``, ``invalid-reference``.

    """
    _refuse_expansion(word, "COPY --from")
    if not _INDEX.fullmatch(word.text):
        return _resolve_name(word, stages, index)
    number = int(word.text)
    if not 0 <= number < len(stages):
        last = len(stages) - 1
        known = "this file has only stage 0" if last == 0 else f"this file has the stages 0 to {last}"
        raise GraphError(f"no stage has the index '{word.text}'", slug="unknown-stage", span=word.span, hint=known)
    _refuse_unseen(word, number, stages, index)
    return StageSource(index=number)


def resolve_mount_source(word: Word, stages: Sequence[From], index: int) -> Source:
    """Return what ``RUN --mount from=`` in the stage at ``index`` names; an index is no name here.

    Raises:
        GraphError: ``from-variable``, ``later-stage``, ``self-reference``, ``invalid-reference``.

    """
    _refuse_expansion(word, "RUN --mount from=")
    return _resolve_name(word, stages, index)


def uses_source(mount: Mount) -> bool:
    """Tell whether the kind of mount reads the files that ``from`` names."""
    return mount.kind in {"bind", "cache"}


def find_edges(instructions: Iterable[AnyInstruction], stages: Sequence[From], index: int) -> tuple[Edge, ...]:
    """Return what the instructions of the stage at ``index`` need, in the order of the text.

    ONBUILD triggers need nothing here: they belong to the stages built from this one.

    Raises:
        GraphError: as ``resolve_copy_source`` and ``resolve_mount_source``; the first fault of the instructions.

    """
    edges: list[Edge] = []
    for instruction in instructions:
        if isinstance(instruction, Copy) and instruction.from_stage is not None:
            word = instruction.from_stage
            needs = resolve_copy_source(word, stages, index)
            edges.append(Edge(stage=index, needs=needs, kind="copy", span=word.span))
        elif isinstance(instruction, Run):
            for mount in instruction.mounts:
                if mount.from_stage is not None and uses_source(mount):
                    needs = resolve_mount_source(mount.from_stage, stages, index)
                    edges.append(Edge(stage=index, needs=needs, kind="mount", span=mount.from_stage.span))
    return tuple(edges)


def triggers_of(instructions: Iterable[AnyInstruction]) -> tuple[AnyInstruction, ...]:
    """Return the instructions that ONBUILD stores for the stages built from this one, in order."""
    return tuple(each.instruction for each in instructions if isinstance(each, Onbuild))


def _last_named(name: str, stages: Sequence[From]) -> int | None:
    lowered = name.lower()
    return max((index for index, node in enumerate(stages) if node.name == lowered), default=None)


def _resolve_name(word: Word, stages: Sequence[From], index: int) -> Source:
    lowered = word.text.lower()
    if stages[index].name == lowered:
        _refuse_unseen(word, index, stages, index)
    above = _last_named(lowered, stages[:index])
    if above is not None:
        return StageSource(index=above)
    if word.text == SCRATCH:
        return ScratchSource()
    below = next((i for i in range(index + 1, len(stages)) if stages[i].name == lowered), None)
    if below is not None:
        _refuse_unseen(word, below, stages, index)
    return _image(word.text, word.span, stages, index)


def _refuse_expansion(word: Word, where: str) -> None:
    if _EXPANDED.search(word.text):
        raise GraphError(
            f"variables and quotes have no meaning in {where}: '{word.text}'",
            slug="from-variable",
            span=word.span,
            hint="give the image a stage of its own with 'FROM ... AS name' (FROM expands global ARGs) and use its name",
        )


def _refuse_unseen(word: Word, wanted: int, stages: Sequence[From], index: int) -> None:
    if wanted < index:
        return
    if wanted == index:
        raise GraphError(
            f"a stage can't take files from itself: '{word.text}'",
            slug="self-reference",
            span=word.span,
            hint="leave out the source to use the build context, or name an earlier stage",
        )
    raise GraphError(
        f"stage '{word.text}' is used before it is defined",
        slug="later-stage",
        span=word.span,
        hint=f"defined below at line {stages[wanted].span.line}: move that stage above this one",
    )


def _image(name: str, span: Span, stages: Sequence[From], index: int) -> ImageSource:
    lines = {node.name: node.span.line for node in stages[:index] if node.name is not None}
    near = nearest_name(name, frozenset(lines))
    hint = f"did you mean stage '{near}' (line {lines[near]})?" if near is not None else ""
    try:
        parse_reference(name)
    except ValueError as error:
        raise GraphError(
            f"'{name}' is neither a stage above nor an image name: {error}",
            slug="invalid-reference",
            span=span,
            hint=hint or "write an image as 'registry/name:tag'",
        ) from error
    return ImageSource(reference=name, hint=hint)
