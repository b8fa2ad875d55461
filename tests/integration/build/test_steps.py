"""What a RUN sees: mounts, secrets, variables, users, heredocs, shells."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest
from tests.fakes.product import processes_with, write

from jettison.api.request import OutputSpec, SecretSource
from jettison.errors import StepError

SECRET = "s3cr3t-Zx81-value"


@pytest.fixture
def is_single(product):
    return '"id mode": "single"' in product.cli("info", "--format", "json").out


def test_secret_is_seen_by_its_step_and_nowhere_else(product, context, tmp_path):
    (tmp_path / "token").write_text(SECRET)
    built = product.build(
        context,
        "FROM busybox:test\n"
        "RUN --mount=type=secret,id=token cat /run/secrets/token | wc -c > /size; cat /run/secrets/token\n"
        "RUN --mount=type=secret,id=token,target=/etc/other,mode=0440 stat -c %a /etc/other > /mode; cp /etc/other /dev/shm/x\n"
        'RUN --mount=type=secret,id=token,env=TOKEN printf %s "$TOKEN" | wc -c > /env\n'
        'RUN test ! -e /run/secrets/token && test ! -e /etc/other && test -z "$TOKEN"\n',
        secrets=[SecretSource(id="token", file=tmp_path / "token")],
        tags=["out"],
        outputs=[
            OutputSpec(kind="image"),
            OutputSpec(kind="oci", dest=str(tmp_path / "out.tar"), compression="uncompressed"),
        ],
    )
    size = f"{len(SECRET)}\n"
    assert product.files_of("out", "size", "mode", "env") == {"size": size, "mode": "440\n", "env": size}
    assert SECRET not in str(built.events)
    needle = SECRET.encode()
    for directory, _, names in os.walk(product.root):
        for name in names:
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                assert needle not in Path(path).read_bytes(), path
    assert needle not in (tmp_path / "out.tar").read_bytes()
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert tar.getnames()


def test_secret_of_the_environment_through_the_command(product, context):
    write(
        context, {"Dockerfile": "FROM busybox:test\nRUN --mount=type=secret,id=T cat /run/secrets/T | md5sum > /sum\n"}
    )
    product.cli("build", "-t", "out", "--secret", "id=T", context, env={"T": SECRET}).check()
    first = product.files_of("out", "sum")
    product.cli(
        "build", "-t", "out", "--secret", "id=T,env=OTHER", "--no-cache", context, env={"OTHER": SECRET}
    ).check()
    assert product.files_of("out", "sum") == first


def test_changed_secret_reruns_nothing(product, context):
    dockerfile = "FROM busybox:test\nRUN --mount=type=secret,id=T wc -c /run/secrets/T > /sum\n"
    product.build(context, dockerfile, secrets=[SecretSource(id="T", variable="T")], env={"T": "one"})
    after = product.build(context, secrets=[SecretSource(id="T", variable="T")], env={"T": "other"})
    assert after.ran() == []


def test_bind_mounts(product, context):
    write(context, {"src/file": "of the context", "ignored": "x"})
    dockerfile = (
        "FROM busybox:test AS stage\nRUN mkdir /made && echo of the stage > /made/file\n"
        "FROM busybox:test\n"
        "RUN --mount=type=bind,source=src,target=/context --mount=type=bind,from=stage,source=/made,target=/stage "
        "--mount=type=bind,from=busybox:test,source=/etc,target=/image "
        "cat /context/file /stage/file > /seen; head -n1 /image/passwd >> /seen; "
        "touch /stage/no 2> /error || echo refused >> /seen\n"
    )
    built = product.build(context, dockerfile, tags=["out"])
    found = product.contents("out")
    assert found["seen"].decode() == "of the contextof the stage\nroot:x:0:0:root:/root:/bin/sh\nrefused\n"
    assert b"Read-only" in found["error"]
    assert not {"context/file", "stage/file"} & set(found)
    write(context, {"ignored": "y"})
    assert product.build(context).ran() == []
    write(context, {"src/file": "changed"})
    assert any("RUN --mount" in name for name in product.build(context).ran())
    assert built.image_id


def test_writable_bind_mount_forgets_what_was_written(product, context):
    write(context, {"file": "one"})
    product.build(
        context,
        "FROM busybox:test\nRUN --mount=type=bind,target=/src,rw echo two > /src/file; cat /src/file > /seen\n",
        tags=["out"],
    )
    assert product.files_of("out", "seen") == {"seen": "two\n"}
    assert (context / "file").read_text() == "one"


def test_cache_mount_survives_and_is_not_in_the_image(product, context):
    step = "--mount=type=cache,target=/cache sh -c 'echo x >> /cache/file; wc -l < /cache/file > /count'"
    for count in (1, 2, 3):
        product.build(context, f"FROM busybox:test\nENV N={count}\nRUN {step}\n", tags=["out"])
        found = product.contents("out")
        assert found["count"].decode().strip() == str(count)
        assert "cache/file" not in found
    product.cli("prune", "--all").check()
    product.build(context, f"FROM busybox:test\nENV N=4\nRUN {step}\n", tags=["out"])
    assert product.files_of("out", "count")["count"].strip() == "1"


def test_cache_mounts_by_id_and_locked_sharing(product, context):
    step = "--mount=type=cache,id=one,sharing=locked,target=/c sh -c 'test ! -e /c/busy; touch /c/busy; sleep 0.3; rm /c/busy'"
    product.build(
        context,
        f"FROM busybox:test AS a\nRUN {step} && echo a > /r\nFROM busybox:test AS b\nRUN {step} && echo b > /r\n"
        "FROM scratch\nCOPY --from=a /r /a\nCOPY --from=b /r /b\n",
        tags=["out"],
    )
    assert set(product.contents("out")) == {"a", "b"}


def test_tmpfs_mount(product, context):
    product.build(
        context,
        "FROM busybox:test\nRUN --mount=type=tmpfs,target=/fast,size=1m echo x > /fast/x; "
        "dd if=/dev/zero of=/fast/big bs=1M count=3 2>/dev/null || echo full > /seen; df /fast | tail -n1 >> /seen\n",
        tags=["out"],
    )
    found = product.contents("out")
    assert found["seen"].startswith(b"full\n")
    assert "fast/x" not in found


def test_scopes_of_variables(product, context):
    built = product.build(
        context,
        "ARG GLOBAL=global\nARG BASE=busybox:test\nFROM ${BASE} AS one\nARG GLOBAL\nARG LOCAL=local\nENV KEPT=${LOCAL}-kept\n"
        "RUN echo 1 $GLOBAL $LOCAL $KEPT $GIVEN\n"
        "FROM one\nARG GIVEN\nRUN echo 2 [$GLOBAL] [$LOCAL] $KEPT $GIVEN\n"
        "ENV GIVEN=env\nRUN echo 4 $GIVEN; env | grep -c GLOBAL || true\n",
        build_args={"GIVEN": "given"},
    )
    assert built.output("RUN echo 1") == "1 global local local-kept\n"
    lines = "".join(event.data.decode() for event in built.named("OpOutput"))
    assert "2 [global] [local] local-kept given\n" in lines  # a child stage has what its parent declared
    assert "4 env\n1\n" in lines


def test_build_arg_is_not_in_the_environment_of_the_image(product, context):
    product.build(context, "FROM busybox:test\nARG A=1\nENV B=2\nRUN true\n", tags=["out"])
    names = [text.partition("=")[0] for text in product.config_of("out")["Env"]]
    assert "B" in names
    assert "A" not in names


def test_user_and_its_groups_and_home(product, context, is_single):
    if is_single:
        pytest.skip("no subordinate ids (userns)")
    built = product.build(
        context,
        "FROM busybox:test\nRUN mkdir /w && chown app:tools /w\nUSER app\nWORKDIR /w\n"
        "RUN id -u; id -g; id -G; echo $HOME; touch /w/mine; touch /etc/no || echo refused\n"
        "USER 7:8\nRUN id -u; id -g\n",
        tags=["out"],
    )
    lines = "".join(event.data.decode() for event in built.named("OpOutput") if event.stream == "stdout").split("\n")
    assert lines[:5] == ["1000", "1000", "1000 50", "/home/app", "refused"]
    assert lines[5:7] == ["7", "8"]
    tar = product.cli("build", "-o", "-", context).check().out_bytes
    (context.parent / "out.tar").write_bytes(tar)
    with tarfile.open(context.parent / "out.tar") as members:
        owners = {member.name.removeprefix("./"): (member.uid, member.gid) for member in members}
    assert owners["w/mine"] == (1000, 1000)
    assert owners["w"] == (1000, 50)


def test_heredocs(product, context):
    product.build(
        context,
        "FROM busybox:test\nARG WHO=you\nRUN <<EOF\nset -e\necho one > /one\necho two >> /one\nEOF\n"
        'RUN <<EOF\n#!/bin/sh\necho "script $0" | grep -o "^script" > /script\nEOF\n'
        "RUN cat <<A - <<B > /both\nfirst\nA\nsecond\nB\n"
        "COPY <<EOF /copied\nhello $WHO\nEOF\nCOPY <<'EOF' /verbatim\nhello $WHO\nEOF\n"
        "COPY <<x <<y /dir/\nin x\nx\nin y\ny\n",
        tags=["out"],
    )
    found = product.contents("out")
    assert found["one"] == b"one\ntwo\n"
    assert found["script"] == b"script\n"
    assert found["copied"] == b"hello you\n"
    assert found["verbatim"] == b"hello $WHO\n"
    assert (found["dir/x"], found["dir/y"]) == (b"in x\n", b"in y\n")


def test_shell_of_the_stage(product, context):
    built = product.build(
        context, 'FROM busybox:test\nSHELL ["/bin/sh", "-e", "-x", "-c"]\nRUN echo traced\nRUN ["echo", "$HOME"]\n'
    )
    assert "+ echo traced" in built.output("RUN echo traced")
    assert built.output('RUN ["echo"') == "$HOME\n"


def test_failed_command_in_a_pipe_follows_the_shell(product, context):
    product.build(context, "FROM busybox:test\nRUN false | true\n")
    with pytest.raises(StepError):
        product.build(context, 'FROM busybox:test\nSHELL ["/bin/sh", "-o", "pipefail", "-c"]\nRUN false | true\n')


def test_processes_left_behind_by_a_step_are_killed(product, context):
    product.build(context, "FROM busybox:test\nRUN (sleep 54.3217 &) ; true\n")
    assert not processes_with("sleep\x0054.3217")


def test_step_has_no_network_when_asked(product, context):
    built = product.build(context, "FROM busybox:test\nRUN --network=none cat /proc/net/dev\n")
    names = {line.partition(":")[0].strip() for line in built.output("RUN").splitlines() if ":" in line}
    assert names <= {"lo"}


def test_whiteouts_links_and_modes_of_steps_arrive_in_the_image(product, context):
    product.build(
        context,
        "FROM busybox:test\nRUN mkdir -p /d/sub && touch /d/a /d/sub/b && echo x > /l1 && ln /l1 /l2 && ln -s /d /s\n"
        "RUN rm -r /d/a && rm -r /d/sub && mkdir /d/sub && touch /d/sub/new && mkfifo /fifo && echo >> /bin/busybox2 && chmod 4711 /bin/busybox2\n",
    )
    tar = product.cli("build", "-o", "-", context).check().out_bytes
    (context.parent / "out.tar").write_bytes(tar)
    with tarfile.open(context.parent / "out.tar") as members:
        found = {member.name.removeprefix("./"): member for member in members}
    assert "d/a" not in found
    assert "d/sub/b" not in found
    assert "d/sub/new" in found
    assert found["bin/busybox2"].mode == 0o4711
    assert found["l2"].islnk()
    assert found["s"].linkname == "/d"
    assert found["fifo"].isfifo()
