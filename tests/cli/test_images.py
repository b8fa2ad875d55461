"""``images inspect history tag rmi save load import prune du graph info version``."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.fakes.product import BASE, Product, write

DOCKERFILE = 'FROM busybox:test\nLABEL a=b\nRUN echo x > /x\nCOPY file /file\nENV N=1\nCMD ["cat", "/file"]\n'


@pytest.fixture
def project(product, context):
    write(context, {"Dockerfile": DOCKERFILE, "file": "content\n"})
    product.cli("build", "-t", "app:1", "-t", "registry.example/team/app:2", context).check()
    return product


def _rows(product, *flags):
    return [json.loads(line) for line in product.cli("images", "--format", "json", *flags).check().out.splitlines()]


def test_images_as_a_table_and_json(project):
    table = project.cli("images").check().out.splitlines()
    assert table[0].split()[:3] == ["REPOSITORY", "TAG", "IMAGE"]
    assert any(line.startswith("registry.example/team/app") for line in table)
    names = {(row["Repository"], row["Tag"]) for row in _rows(project)}
    assert names == {("app", "1"), ("registry.example/team/app", "2"), ("busybox", "test")}
    assert {row["Tag"] for row in _rows(project, "app")} == {"1"}
    assert len(project.cli("images", "-q").check().out.split()) == 2
    assert all(len(word) == 71 for word in project.cli("images", "-q", "--no-trunc").check().out.split())


def test_inspect_by_name_and_by_part_of_the_id(project):
    (found,) = json.loads(project.cli("inspect", "app:1").check().out)
    assert found["Config"]["Cmd"] == ["cat", "/file"]
    assert found["Config"]["Labels"] == {"a": "b"}
    assert sorted(found["RepoTags"]) == ["app:1", "registry.example/team/app:2"]
    (again,) = json.loads(project.cli("inspect", found["Id"][7:15]).check().out)
    assert again == found
    assert len(found["RootFS"]["Layers"]) == 3


def test_history_names_every_instruction(project):
    rows = [json.loads(line) for line in project.cli("history", "--format", "json", "app:1").check().out.splitlines()]
    assert [row["created_by"] for row in rows][:5] == [
        'CMD ["cat" "/file"]',
        "ENV N=1",
        "COPY file /file # buildkit",
        "RUN /bin/sh -c echo x > /x # buildkit",
        "LABEL a=b",
    ]
    assert rows[0]["layer"] == ""
    assert rows[2]["layer"].startswith("sha256:")
    text = project.cli("history", "app:1").check().out
    assert "CREATED BY" in text.splitlines()[0]


def test_tag_and_rmi(project):
    project.cli("tag", "app:1", "third").check()
    assert project.cli("run", "third").check().out == "content\n"
    assert project.cli("rmi", "third").check().out == "Untagged: third:latest\n"
    image_id = json.loads(project.cli("inspect", "app:1").out)[0]["Id"]
    refused = project.cli("rmi", image_id)
    assert refused.code == 2
    assert "--force" in refused.err
    project.cli("rmi", "app:1").check()
    out = project.cli("rmi", "registry.example/team/app:2").check().out
    assert f"Deleted: {image_id}" in out
    assert project.cli("inspect", image_id).code == 2
    assert project.cli("rmi", "app:1").code == 2
    assert project.cli("rmi", "-f", "app:1").code == 0


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_save_and_load_into_another_store(project, tmp_path, form):
    archive = tmp_path / "images.tar"
    project.cli("save", "--format", form, "-o", archive, "app:1", BASE).check()
    other = Product(tmp_path / "other")
    out = other.cli("load", "-i", archive).check().out
    assert "Loaded image: app:1" in out
    ours = json.loads(project.cli("inspect", "app:1").out)[0]
    theirs = json.loads(other.cli("inspect", "app:1").out)[0]
    assert theirs["Id"] == ours["Id"]
    assert theirs["RootFS"] == ours["RootFS"]
    assert other.cli("run", "app:1").check().out == "content\n"
    again = other.cli("save", "--format", form, "app:1", BASE).check().out_bytes
    assert again == project.cli("save", "--format", form, "app:1", BASE).check().out_bytes or form == "oci"


def test_save_to_standard_output_and_load_from_standard_input(project, tmp_path):
    data = project.cli("save", "app:1").check().out_bytes
    other = Product(tmp_path / "other")
    other.cli("load", stdin=gzip.compress(data)).check()
    assert other.cli("run", "app:1").check().out == "content\n"


def test_oci_directory_can_be_loaded(project, tmp_path):
    project.cli("save", "--format", "oci-dir", "-o", tmp_path / "layout", "app:1").check()
    other = Product(tmp_path / "other")
    other.cli("load", "-i", tmp_path / "layout").check()
    assert other.cli("run", "app:1").check().out == "content\n"


def test_damaged_archive_is_refused_and_leaves_nothing(project, tmp_path):
    data = bytearray(project.cli("save", "app:1").check().out_bytes)
    middle = data.index(b"content\n")
    data[middle] ^= 1
    (tmp_path / "bad.tar").write_bytes(data)
    other = Product(tmp_path / "other")
    answer = other.cli("load", "-i", tmp_path / "bad.tar")
    assert answer.code not in (0, 70), answer.err
    assert "sha256:" in answer.err
    assert other.cli("images").check().out.count("\n") == 1
    other.cli("prune").check()
    assert other.unreferenced() == []


def test_import_with_changes(project, tmp_path, busybox_tar):
    image_id = (
        project.cli(
            "import",
            busybox_tar,
            "made:1",
            "-c",
            "ENV A=b",
            "-c",
            'ENTRYPOINT ["echo"]',
            "-c",
            'CMD ["hi"]',
            "-m",
            "mine",
        )
        .check()
        .out.strip()
    )
    assert json.loads(project.cli("inspect", "made:1").out)[0]["Id"] == image_id
    assert project.cli("run", "made:1").check().out == "hi\n"
    assert "mine" in project.cli("history", "made:1").check().out
    refused = project.cli("import", busybox_tar, "-c", "RUN true")
    assert refused.code == 2


def test_import_of_a_compressed_tar(project, tmp_path, busybox_tar):
    (tmp_path / "rootfs.tgz").write_bytes(gzip.compress(busybox_tar.read_bytes(), 1))
    project.cli("import", tmp_path / "rootfs.tgz", "zipped").check()
    assert project.cli("run", "zipped", "echo", "runs").check().out == "runs\n"
    assert project.cli("import", "-", "piped", stdin=busybox_tar.read_bytes()).check()


def test_import_of_rubbish_is_refused(project, tmp_path):
    (tmp_path / "rubbish").write_bytes(b"not a tar at all" * 100)
    answer = project.cli("import", tmp_path / "rubbish", "x")
    assert answer.code not in (0, 70)
    assert "error[" in answer.err


def test_prune_removes_what_nothing_needs(project, context):
    write(context, {"file": "second\n"})
    project.cli("build", "-t", "app:1", "-t", "registry.example/team/app:2", context).check()
    out = project.cli("prune").check().out
    assert "no tag names it" in out
    assert "Total reclaimed space:" in out
    assert project.unreferenced() == []
    assert project.cli("run", "app:1").check().out == "second\n"
    document = json.loads(project.cli("prune", "--all", "--format", "json").check().out)
    assert set(document) == {"removed", "freed_bytes"}
    assert project.cli("run", "app:1").check().out == "second\n"


def test_du_adds_up(project):
    text = project.cli("du").check().out
    assert text.splitlines()[0].split() == ["TYPE", "COUNT", "SIZE", "RECLAIMABLE"]
    rows = {row["Type"]: row for row in map(json.loads, project.cli("du", "--format", "json").check().out.splitlines())}
    assert rows["images"]["Count"] == 2
    assert rows["images"]["Size"] > 1_000_000


@pytest.mark.parametrize("form", ["text", "mermaid", "dot", "json"])
def test_graph_shows_used_and_unused_stages(shared, context, form):
    write(
        context,
        {
            "Dockerfile": "FROM busybox:test AS used\nFROM nowhere.invalid/x AS unused\nFROM scratch\nCOPY --from=used /bin /\n"
        },
    )
    answer = shared.cli("graph", "--format", form, context).check()
    assert "used" in answer.out
    assert "unused" in answer.out
    if form == "json":
        assert json.loads(answer.out)
    if form == "dot":
        assert answer.out.startswith("digraph")
    other = shared.cli("graph", "--format", form, "--target", "unused", context).check()
    assert other.out != answer.out


def test_info_says_what_the_host_gives(shared):
    text = shared.cli("info").check().out
    assert "id mode:" in text
    found = json.loads(shared.cli("info", "--format", "json").check().out)
    assert found["root"] == str(shared.root)
    assert found["store"]["id mode"] in {"root", "subids", "single"}
    assert all(value == "yes" or value.startswith("no: ") for value in found["host"].values())


def test_version(shared):
    import jettison

    assert jettison.__version__ in shared.cli("version").check().out
    assert jettison.__version__ in shared.cli("--version").check().out
    assert json.loads(shared.cli("version", "--format", "json").check().out)["version"] == jettison.__version__


@pytest.mark.parametrize(
    "command",
    [
        "build",
        "run",
        "images",
        "inspect",
        "history",
        "tag",
        "rmi",
        "save",
        "load",
        "import",
        "prune",
        "du",
        "graph",
        "info",
        "version",
    ],
)
def test_help_of_each_command_shows_an_example(shared, command):
    answer = shared.cli(command, "-h")
    assert answer.code == 0
    assert "example" in answer.out
    assert f"jettison {command}" in answer.out
