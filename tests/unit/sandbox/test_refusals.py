from __future__ import annotations

import errno

import pytest

from jettison.sandbox.refusals import explain_refusal
from jettison.sandbox.spec import SandboxSpec

SPEC = SandboxSpec(args=("x",), id_mode="single")


@pytest.mark.parametrize(
    ("values", "slug", "message"),
    [
        pytest.param(
            ("root-overlay", "mount", b"/u", errno.EPERM, "Operation not permitted"),
            "sandbox-refused",
            "could not mount the layers of the step: mount '/u': operation not permitted",
            id="overlay",
        ),
        pytest.param(
            ("bind", "openat2", b"gone", errno.ENOENT, "No such file or directory"),
            "sandbox-mount-source",
            "could not make a bind mount: openat2 'gone': no such file or directory",
            id="source",
        ),
        pytest.param(
            ("file", "file", b"/etc", errno.EISDIR, "it is a directory"),
            "sandbox-mount-target",
            "could not place a file: file '/etc': it is a directory",
            id="target",
        ),
        pytest.param(
            ("identity", "identity", b"", errno.EINVAL, "Invalid argument"),
            "sandbox-user",
            "could not become the step's user: identity: invalid argument",
            id="user",
        ),
        pytest.param(
            ("dev", "", b"", 0, "the image's '/dev' is a symbolic link; a step needs a real directory there"),
            "sandbox-hostile-root",
            "the image's '/dev' is a symbolic link; a step needs a real directory there",
            id="hostile root",
        ),
    ],
)
def test_refusals_say_what_was_wanted(values, slug, message):
    error = explain_refusal("failed", values, SPEC)
    assert (error.slug, error.message) == (slug, message)
    assert error.hint


def test_refused_namespaces_name_the_limit():
    error = explain_refusal("lost", ("clone", errno.ENOSPC), SPEC)
    assert error.slug == "sandbox-namespaces"
    assert "max_*_namespaces" in error.hint
