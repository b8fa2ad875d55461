"""What the host allows is tried."""

from __future__ import annotations

from jettison.sandbox.probe import probe_host


def test_probe_names_a_mode_or_says_why_not(tmp_path):
    found = probe_host(tmp_path)
    assert [mode.name for mode in found.modes] == ["root", "subids", "single"]
    if found.id_mode is None:
        assert all(mode.reason for mode in found.modes)
    else:
        assert next(mode for mode in found.modes if mode.name == found.id_mode).works
        assert {finding.name for finding in found.features} >= {"overlay", "seccomp", "openat2", "network none", "proc"}
    assert list(tmp_path.iterdir()) == []
