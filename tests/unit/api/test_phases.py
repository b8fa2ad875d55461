"""Phases: a beginning, an end with its length, and silence when the work fails."""

from __future__ import annotations

import pytest

from jettison.api.phases import phase
from jettison.events import PhaseFinished, PhaseStarted


def test_a_phase_begins_and_ends_with_its_length():
    seen = []
    with phase(seen.append, "hash", "hashing layers"):
        assert [type(event) for event in seen] == [PhaseStarted]
    started, finished = seen
    assert isinstance(finished, PhaseFinished)
    assert (started.phase, started.text) == (finished.phase, finished.text) == ("hash", "hashing layers")
    assert finished.seconds == finished.at - started.at


def test_a_phase_that_fails_has_no_end():
    seen = []
    with pytest.raises(ValueError, match="broken"), phase(seen.append, "hash", "hashing layers"):
        raise ValueError("broken")
    assert len(seen) == 1
