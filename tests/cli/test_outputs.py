"""What a build writes: the store, archives, directories, tars, side files, progress."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import time

import pytest
from tests.fakes.product import tar_contents, write

DOCKERFILE = """\
FROM busybox:test AS build
RUN mkdir /out && echo made > /out/made && ln -s made /out/link && chmod 640 /out/made
FROM scratch
COPY --from=build /out /
COPY --chown=5:6 --chmod=751 own /dir/own
LABEL name=value
"""


@pytest.fixture
def project(shared, context):
    write(context, {"Dockerfile": DOCKERFILE, "own": "own"})
    return shared, context


def _members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def _files(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def _check_oci(files):
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files["blobs/sha256/" + described["digest"].partition(":")[2]])
    config = json.loads(files["blobs/sha256/" + manifest["config"]["digest"].partition(":")[2]])
    assert config["config"]["Labels"] == {"name": "value"}
    for layer in manifest["layers"]:
        assert len(files["blobs/sha256/" + layer["digest"].partition(":")[2]]) == layer["size"]
    return described


def test_store_is_the_default(project):
    product, context = project
    answer = product.cli("build", "-t", "app:1", "-t", "other", context).check()
    image_id = answer.err.splitlines()[-2].split()[0]
    listed = [json.loads(line) for line in product.cli("images", "--format", "json").check().out.splitlines()]
    assert {(row["Repository"], row["Tag"]) for row in listed if row["ID"] == image_id} == {
        ("app", "1"),
        ("other", "latest"),
    }


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_oci_archive_to_a_file(project, tmp_path, compression):
    product, context = project
    dest = tmp_path / "app.tar"
    product.cli("build", "-t", "app:1", "-o", f"type=oci,dest={dest},compression={compression}", context).check()
    described = _check_oci(_files(dest.read_bytes()))
    assert described["annotations"]["org.opencontainers.image.ref.name"] == "1"
    assert sorted(os.listdir(tmp_path)) == ["app.tar", "context"]


def test_oci_archive_to_standard_output(project):
    product, context = project
    _check_oci(_files(product.cli("build", "-o", "type=oci,dest=-", context).check().out_bytes))
    assert _check_oci(_files(product.cli("build", "-q", "-o", "type=oci", context).check().out_bytes))


def test_oci_directory(project, tmp_path):
    product, context = project
    product.cli("build", "-o", f"type=oci,tar=false,dest={tmp_path}/layout", context).check()
    layout = tmp_path / "layout"
    _check_oci({str(path.relative_to(layout)): path.read_bytes() for path in layout.rglob("*") if path.is_file()})


@pytest.mark.parametrize("dest", ["file", "-"])
def test_docker_archive(project, tmp_path, dest):
    product, context = project
    target = tmp_path / "app.tar" if dest == "file" else "-"
    answer = product.cli("build", "-t", "app:1", "-o", f"type=docker,dest={target}", context).check()
    files = _files(answer.out_bytes if dest == "-" else target.read_bytes())
    (image,) = json.loads(files["manifest.json"])
    assert image["RepoTags"] == ["app:1"]
    assert set(image["Layers"]) <= set(files)
    assert "made" in tar_contents(files[image["Layers"][0]])


@pytest.mark.parametrize("flag", ["type=local,dest={}", "{}"])
def test_files_into_a_directory(project, tmp_path, flag):
    product, context = project
    dest = tmp_path / "out"
    product.cli("build", "-o", flag.format(dest), context).check()
    assert (dest / "made").read_text() == "made\n"
    assert os.readlink(dest / "link") == "made"
    assert stat.S_IMODE((dest / "made").stat().st_mode) == 0o640
    assert stat.S_IMODE((dest / "dir/own").stat().st_mode) == 0o751
    product.cli("build", "-o", flag.format(dest), context).check()


@pytest.mark.parametrize("flag", ["type=tar,dest={}", "type=tar", "-"])
def test_files_as_a_tar(project, tmp_path, flag):
    product, context = project
    dest = tmp_path / "out.tar"
    answer = product.cli("build", "-o", flag.format(dest), context).check()
    data = dest.read_bytes() if "{}" in flag else answer.out_bytes
    members = _members(data)
    assert tar_contents(data) == {"made": b"made\n", "dir/own": b"own"}
    own = next(member for name, member in members.items() if name.endswith("dir/own"))
    assert (own.uid, own.gid, own.mode) == (5, 6, 0o751)


def test_several_outputs_at_once(project, tmp_path):
    product, context = project
    flags = [f"type=tar,dest={tmp_path}/a.tar", f"type=oci,dest={tmp_path}/b.tar", f"{tmp_path}/c", "type=image,name=d"]
    product.cli("build", *(word for flag in flags for word in ("-o", flag)), context).check()
    assert (tmp_path / "a.tar").exists()
    assert (tmp_path / "b.tar").exists()
    assert (tmp_path / "c" / "made").exists()
    product.cli("inspect", "d").check()


def test_output_takes_the_place_of_an_older_file_and_keeps_a_link(project, tmp_path):
    product, context = project
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    product.cli("build", "-o", f"type=tar,dest={tmp_path}/link", context).check()
    assert (tmp_path / "link").is_symlink()
    assert "made" in tar_contents((tmp_path / "real").read_bytes())


def test_device_as_destination_stays_a_device(project, tmp_path):
    product, context = project
    product.cli("build", "-o", "type=tar,dest=/dev/null", context).check()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize(
    ("flag", "code", "text"),
    [
        ("type=oic,dest=x", 2, "did you mean 'oci'?"),
        ("type=local", 2, "needs dest"),
        ("type=oci,dset=x", 2, "did you mean 'dest'?"),
        ("type=oci,dest=x,compression=brotli", 2, "compression=gzip|zstd"),
        ("type=tar,dest=.", 2, "is a directory"),
        ("type=tar,dest=missing/file", 3, "can't write 'missing/file'"),
        ("type=oci,dest=missing/file", 3, "can't write 'missing/file'"),
    ],
)
def test_wrong_output_is_told(project, monkeypatch, tmp_path, flag, code, text):
    product, context = project
    monkeypatch.chdir(tmp_path)
    answer = product.cli("build", "-o", flag, context)
    assert answer.code == code, answer.err
    assert text in answer.err
    assert answer.err.count("error[") == 1


def test_local_output_refuses_the_home_directory(project):
    product, context = project
    answer = product.cli("build", "-o", product.home, context)
    assert answer.code == 2
    assert "bad-destination" in answer.err


def test_side_files(project, tmp_path):
    product, context = project
    answer = product.cli(
        "build", "-q", "-t", "app:7", "--iidfile", tmp_path / "iid", "--metadata-file", tmp_path / "meta", context
    ).check()
    image_id = (tmp_path / "iid").read_text()
    assert answer.out == image_id + "\n"
    assert answer.err == ""
    document = json.loads((tmp_path / "meta").read_text())
    assert document["containerimage.config.digest"] == image_id
    assert document["image.name"] == "app:7"


def test_metadata_file_names_the_manifest_of_an_archive(project, tmp_path):
    product, context = project
    product.cli("build", "-o", f"type=oci,dest={tmp_path}/a.tar", "--metadata-file", tmp_path / "meta", context).check()
    described = _check_oci(_files((tmp_path / "a.tar").read_bytes()))
    assert json.loads((tmp_path / "meta").read_text())["containerimage.digest"] == described["digest"]


@pytest.mark.parametrize("flag", ["--iidfile", "--metadata-file"])
def test_side_file_that_cannot_be_written_is_told(project, tmp_path, flag):
    product, context = project
    answer = product.cli("build", flag, tmp_path / "missing" / "file", context)
    assert answer.code == 2
    assert "No such file or directory" in answer.err
    assert "bug" not in answer.err


@pytest.mark.parametrize("repeat", [False, True])
def test_quiet_prints_only_the_id(project, repeat):
    product, context = project
    for _ in range(3 if repeat else 1):
        answer = product.cli("build", "-q", "--label", "quiet=1", context).check()
    assert answer.err == ""
    assert answer.out.startswith("sha256:")
    assert len(answer.out) == 72


def test_plain_progress_shows_each_step(product, context):
    write(context, {"Dockerfile": DOCKERFILE + 'FROM busybox:test AS extra\nRUN printf "a\\nb"\n', "own": "own"})
    text = product.cli("build", "--progress", "plain", context).check().err
    lines = text.splitlines()
    head = next(line for line in lines if "RUN printf" in line)
    number = head.split()[0]
    shown = [line.split(" ", 2)[-1] for line in lines if line.startswith(f"{number} ")]
    assert "a" in shown
    assert any(line.endswith("b") for line in shown)
    assert f"{number} DONE" in text
    assert "stage build is not needed: skipped" in text


def test_rawjson_progress_is_one_object_a_line(project):
    product, context = project
    answer = product.cli("build", "--progress", "rawjson", "--label", "rawjson=1", context).check()
    events = [json.loads(line) for line in answer.err.splitlines()]
    assert events[0] == {"event": "Format", "version": 1}
    kinds = [event["event"] for event in events]
    assert kinds[1] == "BuildStarted"
    assert kinds[-1] == "BuildFinished"
    assert answer.out == ""


def test_quiet_progress_shows_the_end_only(project):
    product, context = project
    answer = product.cli("build", "--progress", "quiet", "--label", "quiet=2", context).check()
    assert "RUN" not in answer.err
    assert "sha256:" in answer.err


def test_tty_progress_shows_steps(project):
    product, context = project
    answer = product.cli("build", "--progress", "tty", "--label", "tty=1", context, env={"TERM": "xterm"}).check()
    assert "COPY --from=build /out /" in answer.err


def test_progress_of_a_build_answered_by_the_memo(project):
    product, context = project
    write(context, {"Dockerfile": DOCKERFILE + "LABEL test=memo\n"})
    time.sleep(0.15)  # files younger than the clock's tick are not believed
    for _ in range(3):
        answer = product.cli("build", "--progress", "plain", context).check()
    assert answer.err.splitlines()[-1].endswith("cached, unchanged")
    assert "CACHED" in answer.err


def test_dockerfile_from_standard_input(project):
    product, context = project
    answer = product.cli("build", "-q", "-f", "-", context, stdin=b"FROM scratch\nCOPY own /piped\n").check()
    product.cli("tag", answer.out.strip(), "piped").check()
    assert product.contents("piped") == {"piped": b"own"}


def test_dockerfile_elsewhere_with_an_ignore_file_of_its_own(project, tmp_path):
    product, context = project
    write(context, {"docker/app.Dockerfile": "FROM scratch\nCOPY . /\n", "docker/app.Dockerfile.dockerignore": "own\n"})
    product.cli("build", "-t", "elsewhere", "-f", context / "docker/app.Dockerfile", context).check()
    assert "own" not in product.contents("elsewhere")
    assert "Dockerfile" in product.contents("elsewhere")
