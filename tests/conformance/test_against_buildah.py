"""Side by side with buildah: the same files and the same configuration, but for differences that are recorded with a reason."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from tests.conformance.facts import compare
from tests.conformance.records import CASES, RECORDED_FOR, case_names, read_case, read_known

pytestmark = [pytest.mark.judges, pytest.mark.slow]

_TIME = 1_500_000_000


def _prepare(case, context):
    """Copy the context, run its shell lines, give every file the same old time."""
    shutil.copytree(case.context, context, symlinks=True)
    for directory, _, files in os.walk(context):
        os.chmod(directory, 0o755)
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, 0o644)
    subprocess.run(["sh", "-euc", case.prepare], cwd=context, check=True)
    for directory, names, files in os.walk(context, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(directory, name), (_TIME, _TIME), follow_symlinks=False)


def _show(found):
    return "\n".join(
        f"[[differs]]\nwhere = {each.where!r}\nfield = {each.field!r}\nbuildah = {each.buildah!r}\njettison = {each.jettison!r}"
        for each in found
    )


@pytest.mark.parametrize("name", case_names())
def test_same_image_as_buildah(pair, tmp_path, name):
    case = read_case(name)
    context = tmp_path / "context"
    _prepare(case, context)
    image = f"conformance-{name.replace('_', '-')}"
    arguments = [f"--build-arg={key}={value}" for key, value in case.build_args.items()]
    for base in case.bases:
        pair.build(context, f"{image}-{base.rpartition('.')[2]}:1", ["-f", context / base])
    everywhere = read_known(CASES / "differs.toml")
    seen, unexplained = [], []
    for target in case.targets:
        flags = [*arguments, *([f"--target={target}"] if target else [])]
        reference = f"{image}:{target or 'last'}"
        theirs, ours = pair.images(reference, pair.build(context, reference, flags, case.buildah))
        assert ours.files
        for found in compare(theirs, ours):
            known = next((each for each in (*case.known, *everywhere) if each.explains(found, target)), None)
            seen.append(known)
            if known is None:
                unexplained.append(found)
    assert not unexplained, f"{case.about}: not recorded in differs.toml:\n{_show(unexplained)}"
    if pair.buildah.version().startswith(RECORDED_FOR):
        stale = [each for each in case.known if each not in seen]
        assert not stale, f"recorded, but no longer seen:\n{_show(stale)}"


@pytest.mark.parametrize("path", sorted(CASES.rglob("differs.toml")), ids=lambda path: path.parent.name)
def test_recorded_differences_have_reasons(path):
    for known in read_known(path):
        assert len(known.reason) > 20, known
        assert known.buildah != known.jettison, known
