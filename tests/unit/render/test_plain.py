"""The plain renderer on recorded event streams."""

from __future__ import annotations

import io
import json

from jettison import events
from jettison.render.jsonl import JsonRenderer
from jettison.render.plain import PlainRenderer
from jettison.render.tty import TerminalRenderer

STREAM: tuple[events.Event, ...] = (
    events.BuildStarted(at=0.0, build_id="b", step_count=3),
    events.StageSkipped(at=0.0, stage="debug"),
    events.OpFinished(at=0.1, op=0, name="[1/3] FROM x", stage="s", reason="recipe-hit", seconds=0.0),
    events.OpStarted(at=0.2, op=1, name="[2/3] RUN a", stage="s"),
    events.OpStarted(at=0.2, op=2, name="[3/3] RUN b", stage="s"),
    events.OpOutput(at=0.7, op=1, stream="stdout", data=b"half a "),
    events.OpOutput(at=0.8, op=2, stream="stderr", data=b"other\n"),
    events.OpOutput(at=0.9, op=1, stream="stdout", data=b"line\r\n50%\r100%\nrest"),
    events.OpFinished(at=1.2, op=1, name="[2/3] RUN a", stage="s", reason="ran", seconds=1.0),
    events.OpFailed(at=1.3, op=2, name="[3/3] RUN b", stage="s", message="exit code 1", seconds=1.1),
    events.Warned(at=1.4, slug="UndefinedVar", message="'$x' is not set", where="Dockerfile:3:5", hint="set it"),
    events.PhaseStarted(at=1.5, phase="export", text="exporting oci"),
    events.PhaseFinished(at=2.0, phase="export", text="exporting oci", seconds=0.5),
    events.BuildFinished(at=2.0, image_id="sha256:1", tags=("a",), seconds=2.0, ran=1, cached=1),
)


def test_every_line_of_a_step_carries_its_number() -> None:
    out = io.StringIO()
    renderer = PlainRenderer(out)
    for event in STREAM:
        renderer(event)
    renderer.close()
    assert out.getvalue().splitlines() == [
        "stage debug is not needed: skipped",
        "#1 [1/3] FROM x",
        "#1 CACHED",
        "#2 [2/3] RUN a",
        "#3 [3/3] RUN b",
        "#3 0.600 other",
        "#2 0.700 half a line",
        "#2 0.700 100%",
        "#2 rest",
        "#2 DONE 1.0s",
        "#3 ERROR: exit code 1",
        "warning[UndefinedVar]: '$x' is not set (Dockerfile:3:5); set it",
        "exporting oci 0.5s",
    ]


def test_json_has_one_object_a_line_with_the_type_and_all_fields() -> None:
    out = io.StringIO()
    renderer = JsonRenderer(out)
    for event in STREAM:
        renderer(event)
    objects = [json.loads(line) for line in out.getvalue().splitlines()]
    assert objects[0] == {"event": "Format", "version": 1}
    assert [item["event"] for item in objects[1:]] == [type(event).__name__ for event in STREAM]
    assert objects[6] == {"event": "OpOutput", "at": 0.7, "op": 1, "stream": "stdout", "data": "half a "}


def test_terminal_leaves_the_finished_lines_behind() -> None:
    out = io.StringIO()
    renderer = TerminalRenderer(out, lambda: 2.0, has_colour=False)
    for event in STREAM:
        renderer(event)
    renderer.close()
    text = out.getvalue()
    for part in ("[1/3] FROM x CACHED", "[2/3] RUN a 1.0s", "[3/3] RUN b exit code 1", "stage debug is not needed"):
        assert part in text
