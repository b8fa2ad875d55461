"""Golden Dockerfiles: each directory holds a Dockerfile beside the AST (``ast.txt``) or the errors (``error.txt``) it gives.

To write the expectation of a new case, leave its file out and run ``python tests/unit/dockerfile/test_golden_dockerfile.py``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jettison.dockerfile.parser import parse_dockerfile
from jettison.dockerfile.render import render_dockerfile
from jettison.errors import DockerfileError
from jettison.span import SourceFile, Span

if TYPE_CHECKING:
    from jettison.dockerfile.nodes import Dockerfile

ROOT = Path(__file__).resolve().parents[2] / "golden" / "dockerfile"
CASES = sorted(path.parent for path in ROOT.glob("**/Dockerfile"))


def read_case(case: Path) -> SourceFile:
    return SourceFile(name="Dockerfile", text=(case / "Dockerfile").read_bytes().decode("utf-8", "surrogateescape"))


def show_span(span: Span) -> str:
    text = span.text if len(span.text) <= 60 else span.text[:40] + "..." + span.text[-15:]
    return f"{span.line}:{span.column} {text!r}"


def dump(value: object, indent: str = "") -> list[str]:
    lines = []
    for field in dataclasses.fields(value):  # type: ignore[arg-type] # every node is a dataclass
        item = getattr(value, field.name)
        if item in (None, (), False):
            continue
        if isinstance(item, Span):
            lines.append(f"{indent}{field.name}: {show_span(item)}")
        elif dataclasses.is_dataclass(item):
            lines += [f"{indent}{field.name}: {type(item).__name__}", *dump(item, indent + "  ")]
        elif isinstance(item, tuple) and any(dataclasses.is_dataclass(part) for part in item):
            for part in item:
                lines += [f"{indent}{field.name}: {type(part).__name__}", *dump(part, indent + "  ")]
        else:
            lines.append(f"{indent}{field.name}: {item!r}")
    return lines


def dump_dockerfile(dockerfile: Dockerfile) -> str:
    lines = [f"escape: {dockerfile.escape!r}"]
    for item in dockerfile.items:
        lines += [type(item).__name__, *dump(item, "  ")]
    for warning in dockerfile.warnings:
        lines.append(f"warning: {warning.rule} at {show_span(warning.span)}: {warning.message}")
    return "\n".join(lines) + "\n"


def dump_error(error: DockerfileError) -> str:
    lines = []
    for fault in error.diagnostics:
        lines += [
            f"error[{fault.slug}]: {fault.message}",
            f"  at {show_span(fault.span)}" if fault.span else "  nowhere",
            f"  hint: {fault.hint}",
            *(f"  note: {note}" for note in fault.notes),
        ]
    return "\n".join(lines) + "\n"


def outcome(source: SourceFile) -> tuple[str, str]:
    try:
        return "ast.txt", dump_dockerfile(parse_dockerfile(source))
    except DockerfileError as error:
        return "error.txt", dump_error(error)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(ROOT)))
def test_golden(case: Path) -> None:
    name, text = outcome(read_case(case))
    assert text == (case / name).read_text("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "case", [case for case in CASES if (case / "ast.txt").exists()], ids=lambda case: str(case.relative_to(ROOT))
)
def test_golden_file_comes_back(case: Path) -> None:
    source = read_case(case)
    assert render_dockerfile(parse_dockerfile(source)) == source.text


def test_every_error_of_the_corpus_is_written_as_the_house_writes_errors() -> None:
    for case in CASES:
        try:
            parse_dockerfile(read_case(case))
        except DockerfileError as error:
            for fault in error.diagnostics:
                assert fault.span is not None, case
                assert fault.hint, case
                assert not fault.message.endswith("."), case
                assert (
                    fault.message[:1].islower() or not fault.message[:1].isalpha() or fault.message.split()[0].isupper()
                ), case


if __name__ == "__main__":
    for path in CASES:
        target, content = outcome(read_case(path))
        if not (path / target).exists():
            (path / target).write_text(content, "utf-8", "surrogateescape")
            print(f"{path.relative_to(ROOT)}: {target}")
