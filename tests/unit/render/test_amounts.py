from __future__ import annotations

import io

import pytest

from jettison.events import PhaseFinished, PhaseProgress, PhaseStarted
from jettison.render.amounts import amount
from jettison.render.plain import PlainRenderer


def progress(done, total, unit="bytes", at=0.0):
    return PhaseProgress(at=at, phase="pull x", text="pulling x", done=done, total=total, unit=unit)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (progress(1 << 20, 3 << 20), "1.0/3.0 MiB"),
        (progress(1 << 19, 0), "0.5 MiB"),
        (progress(3, 4, "files"), "3/4 files"),
        (progress(3, 0, "files"), "3 files"),
    ],
)
def test_amounts_are_told_in_words(event, text):
    assert amount(event) == text


def test_plain_lines_tell_of_a_pull_now_and_then():
    out = io.StringIO()
    show = PlainRenderer(out)
    show(PhaseStarted(at=10.0, phase="pull x", text="pulling x"))
    for second in range(11, 22):
        show(progress((second - 10) << 20, 20 << 20, at=float(second)))
    show(PhaseFinished(at=22.0, phase="pull x", text="pulled x (20.0 MiB)", seconds=12.0))
    assert out.getvalue().splitlines() == [
        "pulling x ...",
        "pulling x ... 5.0/20.0 MiB",
        "pulling x ... 10.0/20.0 MiB",
        "pulled x (20.0 MiB) 12.0s",
    ]
