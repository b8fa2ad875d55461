"""The rows: what is prepared once, what is done before each run, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.inputs import make_context
from benchmarks.tools import BASE, Build, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.tools import Tool

Commands = list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the inputs are and how often each thing is run."""

    repeats: int
    few_files: int
    many_files: int
    steps: int
    export_bytes: int
    sleep_seconds: int


FULL = Scale(repeats=5, few_files=5_000, many_files=40_000, steps=30, export_bytes=400_000_000, sleep_seconds=3)
QUICK = Scale(repeats=3, few_files=1_000, many_files=4_000, steps=10, export_bytes=40_000_000, sleep_seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a case works, at which scale, with the base image's archive."""

    directory: Path
    scale: Scale
    base: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row.

    ``prepare`` makes the inputs; ``before`` brings a tool's store to where the measurement begins, before every run;
    ``commands`` is what is measured.
    """

    name: str
    about: str
    prepare: Callable[[Bench], Path]
    before: Callable[[Bench, Tool, Path], None]
    commands: Callable[[Bench, Tool, Path], Commands]


def _warm(_bench: Bench, tool: Tool, context: Path) -> None:
    """Three builds: one that does the work, one from the cache, one more for whatever is learnt from that."""
    for _ in range(3):
        measure(tool, tool.build(Build(context=context)))


def _fresh(bench: Bench, tool: Tool, _context: Path) -> None:
    tool.forget()
    tool.load_base(bench.base)


def _plain(_bench: Bench, tool: Tool, context: Path) -> Commands:
    return tool.build(Build(context=context))


def _application(files: Callable[[Scale], int]) -> Callable[[Bench], Path]:
    text = f"FROM {BASE}\nWORKDIR /app\nCOPY src src\nRUN true\n"
    return lambda bench: make_context(bench.directory, text, files=files(bench.scale))


def _steps(bench: Bench) -> Path:
    steps = "".join(f"RUN echo {number} > /step{number}\n" for number in range(bench.scale.steps))
    return make_context(bench.directory, f"FROM {BASE}\n{steps}")


def _edited(bench: Bench) -> Path:
    text = f"FROM {BASE}\nWORKDIR /app\nRUN sleep {bench.scale.sleep_seconds}\nCOPY src src\nRUN sleep 1\n"
    return make_context(bench.directory, text, files=bench.scale.few_files)


def _edit(_bench: Bench, tool: Tool, context: Path) -> None:
    measure(tool, tool.build(Build(context=context)))
    with (context / "src" / "module0" / "file0.js").open("a") as file:
        file.write("// one more line\n")


def _copied(bench: Bench) -> Path:
    return make_context(bench.directory, "FROM scratch\nCOPY src /src\n", files=bench.scale.many_files)


def _copied_twice(bench: Bench) -> Path:
    text = "FROM scratch AS build\nCOPY src /src\nFROM scratch\nCOPY --from=build /src /app\n"
    return make_context(bench.directory, text, files=bench.scale.many_files)


def _large(bench: Bench) -> Path:
    scale = bench.scale
    size = scale.export_bytes // scale.many_files
    return make_context(bench.directory, "FROM scratch\nCOPY src /src\n", files=scale.many_files, file_bytes=size)


def _built_anew(_bench: Bench, tool: Tool, context: Path) -> None:
    tool.forget()
    measure(tool, tool.build(Build(context=context)))


def _stages(bench: Bench) -> Path:
    sleep = f"RUN sleep {bench.scale.sleep_seconds}"
    text = (
        f"FROM {BASE} AS left\n{sleep} && echo l > /left\nFROM {BASE} AS right\n{sleep} && echo r > /right\n"
        "FROM scratch\nCOPY --from=left /left /\nCOPY --from=right /right /\n"
    )
    return make_context(bench.directory, text)


def _export(_bench: Bench, tool: Tool, context: Path) -> Commands:
    return tool.export(Build(context=context).tag, context.parent / f"{tool.name}.oci.tar")


def _build_and_export(_bench: Bench, tool: Tool, context: Path) -> Commands:
    return tool.build_and_export(Build(context=context), context.parent / f"{tool.name}.oci.tar")


CASES = (
    Case(
        name="unchanged-small",
        about="unchanged build, 20 files",
        prepare=_application(lambda _scale: 20),
        before=_warm,
        commands=_plain,
    ),
    Case(
        name="unchanged-large",
        about="unchanged build, 5,000 files",
        prepare=_application(lambda scale: scale.few_files),
        before=_warm,
        commands=_plain,
    ),
    Case(
        name="one-file-changed",
        about="one of 5,000 files changed, a step of 1 s runs again",
        prepare=_edited,
        before=_edit,
        commands=_plain,
    ),
    Case(name="run-steps", about="30 trivial RUN steps, cold", prepare=_steps, before=_fresh, commands=_plain),
    Case(
        name="copy-files",
        about="COPY of 40,000 small files, cold",
        prepare=_copied,
        before=_fresh,
        commands=_plain,
    ),
    Case(
        name="copy-from-stage",
        about="the same, copied on from a stage, with OCI export, cold",
        prepare=_copied_twice,
        before=_fresh,
        commands=_build_and_export,
    ),
    Case(
        name="export-oci",
        about="OCI export of a layer of 40,000 files, 400 MB, gzip",
        prepare=_large,
        before=_built_anew,
        commands=_export,
    ),
    Case(
        name="two-stages",
        about="two independent stages of 3 s each, cold",
        prepare=_stages,
        before=_fresh,
        commands=lambda _bench, tool, context: tool.build(Build(context=context, parallel=2)),
    ),
)
