"""The same inputs give the same image: with and without the memo, in two roots, under two umasks, whatever the clock says."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager

import pytest
from tests.fakes.product import Product, a_context, write

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
DOCKERFILE = """\
FROM busybox:test AS build
WORKDIR /work
COPY src src
COPY *.txt texts/
RUN cat src/* texts/* 2>/dev/null > all; mkdir -p deep/er; ln all deep/hard; ln -s ../all deep/soft; chmod 2755 deep/er
FROM scratch
COPY --from=build /work/all /work/deep /out/
COPY link* /links/
ENV VERSION=1
"""


@contextmanager
def _umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def _an_edit(chance, context):
    """Change something at random; return what, for the message of a failure."""
    sources = sorted(path for path in (context / "src").rglob("*") if path.is_file())
    any_file = chance.choice([*sources, context / "a.txt", context / "Dockerfile"])
    kind = chance.choice(
        [
            "write",
            "same-size",
            "touch",
            "add",
            "remove",
            "rename",
            "mode",
            "ignore",
            "ignored",
            "dockerfile",
            "link",
            "nothing",
        ]
    )
    match kind:
        case "write" if any_file.name != "Dockerfile":
            any_file.write_text(str(chance.random()) * chance.randrange(1, 50))
        case "same-size" if any_file.name != "Dockerfile":
            facts = any_file.stat()
            any_file.write_bytes(chance.randbytes(facts.st_size))
            if chance.random() < 0.5:
                os.utime(any_file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        case "touch":
            os.utime(any_file)
        case "add":
            write(context, {chance.choice(["src/new", "src/deep/new", "new.txt"]) + str(chance.randrange(5)): "new"})
        case "remove" if len(sources) > 1:
            chance.choice(sources).unlink()
        case "rename" if len(sources) > 1:
            chance.choice(sources).rename(context / "src" / f"renamed{chance.randrange(5)}")
        case "mode":
            any_file.chmod(chance.choice([0o644, 0o755, 0o600]))
        case "ignore":
            (context / ".dockerignore").write_text(chance.choice(["", "src/deep\n", "*.txt\n!a.txt\n", "logs\n"]))
        case "ignored":
            write(context, {"logs/log": str(chance.random())})
        case "dockerfile":
            (context / "Dockerfile").write_text(DOCKERFILE.replace("VERSION=1", f"VERSION={chance.randrange(3)}"))
        case "link":
            (context / "link1").unlink(missing_ok=True)
            (context / "link1").symlink_to(chance.choice(["a.txt", "nowhere", "src"]))
    return kind


@pytest.mark.parametrize(
    "seed", [1, 2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_memo_never_changes_a_result(product, tmp_path, busybox_tar, seed):
    chance = random.Random(seed)
    other = Product(tmp_path / "other")
    other.import_busybox(busybox_tar)
    context = a_context(tmp_path / "context", Dockerfile=DOCKERFILE)
    write(context, {"src/one": "1", "src/deep/two": "2", "a.txt": "a", "logs/log": "", ".dockerignore": "logs\n"})
    (context / "link1").symlink_to("a.txt")
    edits = []
    answers = 0
    for _ in range(20):
        edits.append(_an_edit(chance, context))
        if chance.random() < 0.3:
            time.sleep(0.12)  # longer than the tick within which files are not believed
        for _ in range(chance.randrange(1, 4)):
            with_memo = product.build(context, tags=["app"], env=EPOCH)
            answers += with_memo.result.is_from_memo
        without = other.build(context, tags=["app"], env=EPOCH, has_memo=False)
        assert with_memo.image_id == without.image_id, edits
        same_root = product.build(context, tags=["app"], env=EPOCH, has_memo=False)
        assert same_root.image_id == with_memo.image_id, edits
        line = product.cli("build", "-q", "-t", "app", context, env=EPOCH).check().out.strip()
        assert line == with_memo.image_id, edits
    assert answers > 0


def _make_checkout(path, mtime):
    context = a_context(path, Dockerfile=DOCKERFILE)
    write(context, {"src/one": "1", "src/deep/two": "2", "a.txt": "a", "b.txt": "b"})
    (context / "link1").symlink_to("a.txt")
    for directory, names, files in os.walk(context):
        for name in (*names, *files):
            entry = os.path.join(directory, name)
            if not os.path.islink(entry):
                os.chmod(entry, 0o755 if os.path.isdir(entry) else 0o644)
            os.utime(entry, (mtime, mtime), follow_symlinks=False)
    return context


def test_two_roots_umasks_checkouts_and_clocks_give_the_same_digests(tmp_path, busybox_tar):
    found = []
    for number, (umask, mtime) in enumerate([(0o022, 1_500_000_000), (0o077, 1_699_999_999), (0o002, 1_800_000_000)]):
        with _umask(umask):
            product = Product(tmp_path / f"place{number}")
            product.import_busybox(busybox_tar)
            context = _make_checkout(tmp_path / f"checkout{number}", mtime)
            if number == 1:
                product.build(context, DOCKERFILE.replace("COPY *.txt", "COPY a.txt"))  # other layers made before
                context = _make_checkout(tmp_path / "again", mtime)
            dest = product.place / "out.oci"
            product.cli("build", "-q", "-t", "app", "-o", f"type=oci,dest={dest}", context, env=EPOCH).check()
            image = product.cli("build", "-q", "-t", "app", context, env=EPOCH).check().out
            meta = product.place / "meta"
            product.cli("build", "-o", f"type=oci,dest={dest}2", "--metadata-file", meta, context, env=EPOCH).check()
            assert dest.with_name("out.oci").stat().st_size
            found.append((image, meta.read_text()))
        time.sleep(1.01 if number == 0 else 0)
    assert len(set(found)) == 1, found


def test_reproducible_archives_are_equal_byte_for_byte(tmp_path, busybox_tar):
    data = []
    for number in range(2):
        product = Product(tmp_path / f"place{number}")
        product.import_busybox(busybox_tar)
        context = _make_checkout(tmp_path / f"checkout{number}", 1_600_000_000 + number)
        data.append(
            [
                product.cli("build", "-t", "app", "-o", f"type={kind}", context, env=EPOCH).check().out_bytes
                for kind in ("oci", "docker", "tar")
            ]
        )
    assert data[0] == data[1]


def test_results_do_not_depend_on_parallelism_or_order(tmp_path, busybox_tar):
    from dataclasses import replace

    from jettison.limits import DEFAULT_LIMITS

    stages = "".join(f"FROM busybox:test AS s{n}\nRUN sleep 0.0{n}; echo {n} > /f{n}\n" for n in range(4))
    copies = "".join(f"COPY --from=s{n} /f{n} /\n" for n in range(4))
    found = set()
    for jobs in (1, 4):
        product = Product(tmp_path / f"jobs{jobs}")
        product.import_busybox(busybox_tar)
        context = a_context(tmp_path / f"context{jobs}", Dockerfile=f"{stages}FROM scratch\n{copies}")
        settings = product.settings(
            environment={**product.environment, **EPOCH}, limits=replace(DEFAULT_LIMITS, parallel_ops=jobs)
        )
        import jettison

        found.add(jettison.build(context, settings=settings).image_id)
    assert len(found) == 1
