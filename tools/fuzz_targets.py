"""What is fuzzed: each reader of foreign bytes, with seeds, a dictionary, and what must hold of inputs that are taken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import marshal
import os
import tarfile
import zlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard
from fuzz_mutator import with_index_header, with_tar_checksums

from jettison.digest import DiffId, digest_of
from jettison.dockerfile.nodes import Word
from jettison.dockerfile.parser import KEYWORDS, parse_dockerfile, parse_instruction
from jettison.dockerfile.render import render_dockerfile
from jettison.dockerfile.words import expand, expand_heredoc
from jettison.errors import DockerfileError, JettisonError, LayerError
from jettison.export.archive_in import open_archive
from jettison.fastpath import memo
from jettison.fastpath.glob import PatternSyntaxError, compile_component, tokenize
from jettison.fastpath.ignore import IgnoreSyntaxError, parse_ignore
from jettison.fastpath.statcache import StatCache
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.graph.build import build_graph
from jettison.graph.document import graph_document
from jettison.graph.scope import Platforms
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.layer.pack import PackWriter
from jettison.layer.read import index_tar
from jettison.limits import DEFAULT_LIMITS
from jettison.oci.config import ImageConfig, RuntimeConfig, parse_config, render_config
from jettison.oci.manifest import Index, choose_manifest, parse_manifest, render_manifest
from jettison.plan.lower import lower
from jettison.plan.options import LowerOptions
from jettison.plan.plan import BaseImage, Plan
from jettison.platform import Platform, parse_platform
from jettison.reference import parse_reference
from jettison.registry.auth import answer_challenges, parse_challenges, parse_token
from jettison.span import SourceFile, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent.parent
AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader. ``run`` gets an input and an empty directory; what it returns, or the error, tells inputs apart.

    ``expected`` are the exact classes of errors that its documentation names besides ``JettisonError``; ``shape`` (``json``,
    ``tar``) says what mutations may keep intact; ``weight`` is the share of the time.
    """

    name: str
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    run: Callable[[bytes, Path], str]
    expected: tuple[type[Exception], ...] = ()
    shape: str = ""
    weight: float = 1.0


def all_targets() -> tuple[Target, ...]:
    """Return the targets, with seeds read from the checkout."""
    return (
        *_dockerfile_targets(),
        *_text_targets(),
        *_json_targets(),
        *_tar_targets(),
        *_file_targets(),
    )


# Dockerfiles

_DOCKERFILE_WORDS = (
    *(b"\n%b " % keyword.encode() for keyword in KEYWORDS),
    *(
        b"FROM scratch",
        b"FROM a AS b\n",
        b" AS ",
        b"--from=",
        b"--mount=type=",
        b"cache,target=/c",
        b"bind,from=b",
        b"secret,id=x",
    ),
    *(
        b"--platform=",
        b"--chown=1:2",
        b"--chmod=0755",
        b"--network=none",
        b"--interval=1m",
        b"--link",
        b"--parents",
        b"--exclude=",
    ),
    *(
        b"${",
        b"${a:-",
        b"${a:+",
        b"${a?",
        b"${a#*",
        b"${a%%?",
        b"${a//x/",
        b"}",
        b"$a",
        b"$$",
        b"\\\n",
        b"`\n",
        b"\r\n",
        b"\xef\xbb\xbf",
    ),
    *(
        b"<<EOF\n",
        b"\nEOF\n",
        b"<<-'E'",
        b'<<"X"',
        b"# escape=`\n",
        b"# syntax=docker/dockerfile:1\n",
        b"# check=skip=all\n",
    ),
    *(
        b'["a", "b"]',
        b'["\\ud800"]',
        b"[[[[",
        b'"',
        b"'",
        b"=",
        b"a=b",
        b"NONE",
        b"CMD",
        b"80/tcp",
        b"1-65535",
        b"SIGTERM",
        b"\xe2\x80\xa8",
    ),
    *(
        b"https://example.com/a.tar",
        b"git@example.com:a.git",
        b"ONBUILD RUN ",
        b"HEALTHCHECK CMD ",
        b"\t",
        b"\x0b",
        b"\xc2\xa0",
        b"#",
    ),
    *(
        b"ARG SOURCE_DATE_EPOCH=",
        b"FROM --platform=$TARGETPLATFORM ",
        b"COPY --from=0 / /",
        b"WORKDIR ../..",
        b"USER $x",
        b"0",
    ),
)


def _dockerfile_seeds() -> tuple[bytes, ...]:
    paths = [*(HERE / "tests" / "golden").rglob("Dockerfile"), *(HERE / "examples").rglob("Dockerfile*")]
    return tuple(path.read_bytes() for path in sorted(paths) if path.is_file())


def _dockerfile_targets() -> tuple[Target, ...]:
    words = (
        b"$a",
        b"${a}",
        b"${b:-${a}}",
        b"'x'",
        b'"$a $b"',
        b"${a//*/$0}",
        b"\\$a",
        b"${a##?*}",
        b"a b",
        b"${c?why}",
        b"${a/\\//_}",
    )
    return (
        Target(name="dockerfile", seeds=_dockerfile_seeds(), words=_DOCKERFILE_WORDS, run=run_dockerfile, weight=5),
        Target(name="trigger", seeds=(b"RUN a", b"COPY a b", b"ENV a=b"), words=_DOCKERFILE_WORDS, run=run_trigger),
        Target(name="expand", seeds=words, words=(*words, *_DOCKERFILE_WORDS), run=run_expand),
    )


def run_dockerfile(data: bytes, _place: Path) -> str:
    text = data.decode("utf-8", "surrogateescape")
    dockerfile = parse_dockerfile(SourceFile(name="Dockerfile", text=text))
    assert render_dockerfile(dockerfile) == text, "the rendering differs from the text"
    graph = build_graph(dockerfile, target=None, build_args={"a": "1"}, platforms=Platforms(target=AMD64, build=ARM64))
    graph_document(graph)
    options = LowerOptions(target_platform=AMD64, build_platform=ARM64, build_args={"a": "1"})
    triggers = tuple(line for line in text.splitlines()[:2] if line.strip())
    bases: dict[tuple[str, str], BaseImage] = {}
    for _ in range(50):
        result = lower(graph, bases, options)
        if isinstance(result, Plan):
            config = replace(result.config, diff_ids=())
            parse_config(render_config(config))
            assert len(result.ops) == len(result.steps), "an op without a step"
            return f"plan {min(len(result.ops), 12)} {len(result.warnings) > 0}"
        for need in result.images:
            bases[need.reference, need.platform] = _base(need.reference, need.platform, triggers)
    raise AssertionError("lowering asks for ever more images")


def _base(reference: str, platform: str, triggers: tuple[str, ...]) -> BaseImage:
    config = RuntimeConfig(env=("PATH=/bin", "x", "=y"), on_build=triggers if "b" in reference else ())
    diff_id = DiffId(digest_of(reference.encode("utf-8", "surrogateescape")))
    image = ImageConfig(platform=parse_platform(platform, AMD64), config=config, diff_ids=(diff_id,))
    return BaseImage(reference=reference, image_id=digest_of(b""), config=image, layer_count=1)


def run_trigger(data: bytes, _place: Path) -> str:
    return type(parse_instruction(data.decode("utf-8", "surrogateescape"), "ONBUILD of x")).__name__


def run_expand(data: bytes, _place: Path) -> str:
    text = data.decode("utf-8", "surrogateescape")
    variables = {"a": "one two/three", "b": "", "x": "x" * 500 + "\ny"}
    span = Span(source=SourceFile(name="Dockerfile", text=text), start=0, end=len(text))
    word = Word(text=text, span=span)
    results = [_expanded(partial(expand, word, variables, escape=escape)) for escape in "\\`"]
    return " ".join((*results, _expanded(lambda: expand_heredoc(text, variables, span=span))))


def _expanded(run: Callable[[], object]) -> str:
    try:
        run()
    except DockerfileError as error:
        span = error.span
        if span is None or not 0 <= span.start <= span.end <= len(span.source.text) + 1:
            raise AssertionError("an error of an expansion that points nowhere") from error
        return error.slug
    return "ok"


# Short texts

_PATHS = (
    b"a",
    b"src/a.c",
    b"src/deep/er/b.o",
    b"node_modules/x/y",
    b".git/config",
    b"\xff\xfe/\n",
    b"a" * 255,
    b"b/" * 50 + b"c",
)


def _text_targets() -> tuple[Target, ...]:
    ignore = (
        b"**/*.log\n!keep.log\nnode_modules\n",
        b"a/**/b\n*\n!src/**\n",
        b"# c\n[a-z]?\\*\n/x/../y/\n",
        b"a**b**c\n",
    )
    ignore_words = (
        b"**",
        b"*",
        b"?",
        b"[a-",
        b"[^",
        b"]",
        b"!",
        b"/",
        b"..",
        b"\\",
        b"\n",
        b"\r\n",
        b"#",
        b"**/",
        b"a**b",
        b" ",
        b"\xef\xbb\xbf",
    )
    names = (
        b"node:22-slim",
        b"gcr.io/a/b@sha256:" + b"0" * 64,
        b"localhost:5000/x",
        b"[::1]:5000/a_b__c-d:T",
        b"index.docker.io/a",
    )
    platforms = (b"linux/arm64/v8", b"amd64", b"windows", b"linux/arm/v7", b"LINUX/x86_64")
    challenges = (
        b'Bearer realm="https://auth.example.com/token",service="r",scope="repository:a:pull"',
        b'Basic realm="a \\"b\\"", Bearer realm=http://localhost/t',
        b"Negotiate abc==, Digest qop=auth",
    )
    challenge_words = (
        b"Bearer ",
        b"Basic ",
        b"realm=",
        b'"',
        b"\\",
        b",",
        b" ",
        b"=",
        b"==",
        b"\t",
        b'a="',
        b"https://",
        b"http://127.0.0.1:1/",
    )
    return (
        Target(name="ignore", seeds=ignore, words=ignore_words, run=run_ignore, expected=(IgnoreSyntaxError,)),
        Target(
            name="glob",
            seeds=(b"*.c", b"[a-z]*[^x]?"),
            words=ignore_words,
            run=run_glob,
            expected=(PatternSyntaxError,),
        ),
        Target(
            name="reference",
            seeds=names,
            words=(
                b"/",
                b":",
                b"@",
                b"sha256:",
                b".",
                b"__",
                b"--",
                b"library/",
                b"[",
                b"]",
                b"docker.io/",
                b"A",
                b"\n",
                b"\xd9\xa3",
            ),
            run=run_reference,
            expected=(ValueError,),
        ),
        Target(
            name="platform",
            seeds=platforms,
            words=(b"/", b"linux", b"v8", b",", b" "),
            run=run_platform,
            expected=(ValueError,),
        ),
        Target(name="challenge", seeds=challenges, words=challenge_words, run=run_challenge),
    )


def run_ignore(data: bytes, _place: Path) -> str:
    rules = parse_ignore(data)
    if rules is None:
        return "none"
    verdicts = [rules.state_of(path) for path in _PATHS]
    for path, state in zip(_PATHS, verdicts, strict=True):
        assert rules.is_excluded(path) == state.is_excluded, "a path is judged in two ways"
        if state.can_prune:
            assert rules.is_excluded(path + b"/x"), "a pruned directory has an entry that is not hidden"
        if state.is_settled:
            assert not rules.is_excluded(path + b"/x"), "a settled directory hides an entry"
        state.last_match()
    return "".join("-+"[state.is_excluded] for state in verdicts)


def run_glob(data: bytes, _place: Path) -> str:
    test = compile_component([token for token in tokenize(data.decode("utf-8", "surrogateescape")) if token != "/"])
    if isinstance(test, bytes):
        return "plain"
    return "".join("-+"[test(path)] for path in _PATHS)


def run_reference(data: bytes, _place: Path) -> str:
    reference = parse_reference(data.decode("utf-8", "surrogateescape"))
    assert parse_reference(str(reference)) == reference, "the full spelling means something else"
    assert parse_reference(reference.familiar) == reference, "the short spelling means something else"
    return f"{bool(reference.tag)} {bool(reference.digest)} {reference.domain == 'docker.io'}"


def run_platform(data: bytes, _place: Path) -> str:
    platform = parse_platform(data.decode("utf-8", "surrogateescape"), ARM64)
    assert parse_platform(str(platform), AMD64) == platform, "the spelling means something else"
    return platform.os


def run_challenge(data: bytes, _place: Path) -> str:
    header = data.decode("latin-1")
    found = parse_challenges(header)
    answer = answer_challenges(header, scope="repository:a:pull", credential=None, is_local=True)
    return f"{min(len(found), 4)} {type(answer).__name__}"


# JSON

_DIGEST = b"sha256:" + b"12" * 32
_CONFIG = (
    b'{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"Env":["A=b"],"Cmd":["/x"],'
    b'"ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b"},"Healthcheck":{"Test":["NONE"],"Interval":5},"OnBuild":["RUN x"]},'
    b'"rootfs":{"type":"layers","diff_ids":["@layer@"]},"history":[{"created_by":"x","empty_layer":true}],"other":{"a":[1.5]}}'
)
_MANIFEST = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
    b'"application/vnd.oci.image.config.v1+json","digest":"@config@","size":"@config-size@"},"layers":[{"mediaType":'
    b'"application/vnd.oci.image.layer.v1.tar","digest":"@layer@","size":"@layer-size@"}],"annotations":{"a":"b"}}'
)
_INDEX = (
    b'{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@manifest@",'
    b'"size":"@manifest-size@","platform":{"os":"linux","architecture":"amd64"},"annotations":'
    b'{"io.containerd.image.name":"docker.io/library/app:v1","org.opencontainers.image.ref.name":"v1"}}]}'
)
_DOCKER = b'[{"Config":"config.json","RepoTags":["app:v1"],"Layers":["layer.tar"]}]'
_JSON_WORDS = (
    *(
        b"null",
        b"true",
        b"1e999",
        b"-1",
        b"1.5",
        b"NaN",
        b"[]",
        b"{}",
        b'""',
        b'"\\ud800"',
        b'"\\u0000"',
        b"9" * 30,
        b"1" + b"0" * 400,
    ),
    *(
        b"[",
        b"{",
        b'{"a":',
        b"]",
        b"}",
        b",",
        b":",
        b'"',
        b"\\",
        b"\xff",
        b"[" * 100,
        b'{"a":' * 100,
        b"\xef\xbb\xbf",
        b'"variant":"v8",',
    ),
    *(
        b'"mediaType":[],',
        b'"platform":null,',
        b'"manifests":[],',
        b'"layers":[],',
        b'"annotations":{},',
        b'"size":0,',
        b'"digest":',
    ),
    *(
        b"application/vnd.oci.image.index.v1+json",
        b"application/vnd.docker.distribution.manifest.list.v2+json",
        b"../",
        b"/",
        b"a:b",
    ),
    *(b"@config@", b"@manifest@", b"@layer@", b"@layer-size@", _DIGEST),
)


def _json_targets() -> tuple[Target, ...]:
    docs = [
        _filled(document, {b"config": b"c", b"layer": b"l", b"manifest": b"m"})
        for document in (_CONFIG, _MANIFEST, _INDEX)
    ]
    return (
        Target(name="config", seeds=(docs[0],), words=_JSON_WORDS, run=run_config, shape="json"),
        Target(name="manifest", seeds=tuple(docs[1:]), words=_JSON_WORDS, run=run_manifest, shape="json"),
        Target(
            name="token",
            seeds=(b'{"token":"abc"}', b'{"access_token":"x"}'),
            words=_JSON_WORDS,
            run=run_token,
            shape="json",
        ),
    )


def run_config(data: bytes, _place: Path) -> str:
    config = parse_config(data)
    once = render_config(config)
    assert render_config(parse_config(once)) == once, "the rendering means something else"
    return f"{len(config.diff_ids)} {len(config.history)} {len(config.others)}"


def run_manifest(data: bytes, _place: Path) -> str:
    document = parse_manifest(data, "application/vnd.oci.image.manifest.v1+json")
    assert parse_manifest(render_manifest(document)) == document, "the rendering means something else"
    if isinstance(document, Index):
        choose_manifest(document, AMD64)
        return f"index {min(len(document.manifests), 3)}"
    return f"manifest {min(len(document.layers), 3)}"


def run_token(data: bytes, _place: Path) -> str:
    return "bearer" if parse_token(data, "auth.example.com").value else ""


# Tars, layers and archives

_TAR_WORDS = (
    *(
        b"ustar\x0000",
        b"ustar  \0",
        bytes(512),
        bytes(1024),
        b"../",
        b"/",
        b".wh.",
        b".wh..wh..opq",
        b".wh..wh.plnk",
        b"././@LongLink",
    ),
    *(
        b"\x80\0\0\0\0\0\0\0\xff\xff\xff\xff",
        b"77777777777\0",
        b"20 path=../x\n",
        b"13 size=100\n",
        b"17 mtime=-1.5\n",
        b"9 uid=-1\n",
    ),
    *(
        b"30 SCHILY.xattr.user.a=\0\xff1234\n",
        b"22 GNU.sparse.major=1\n",
        b"0",
        b"1",
        b"2",
        b"5",
        b"x",
        b"g",
        b"L",
        b"K",
        b"S",
        b"3",
        b"6",
    ),
)


def _tar(files: tuple[tuple[str, bytes, bytes], ...], *, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of (name, type, content or link text)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as tar:
        for name, letter, text in files:
            info = tarfile.TarInfo(name)
            info.type = letter
            if letter == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text.decode()
            if kind == tarfile.PAX_FORMAT and name == "bin/a":
                info.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "12.5"}
            tar.addfile(info, io.BytesIO(text))
        end = tar.offset
    return target.getvalue()[: end + 1024]


def _tar_seeds() -> tuple[bytes, ...]:
    file, directory, link, hard = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    tree = (
        ("bin", directory, b""),
        ("bin/a", file, b"content"),
        ("bin/b", hard, b"bin/a"),
        ("lib", link, b"usr/lib"),
        ("lib/c", file, b"x" * 700),
        ("etc/.wh.old", file, b""),
        ("var/.wh..wh..opq", file, b""),
        ("dev/null", tarfile.CHRTYPE, b""),
        ("n" * 120 + "/" + "m" * 150, file, b"long"),
        ("bin/a", directory, b""),
        ("bin/a/d", file, b"y"),
    )
    return (
        _tar(tree),
        _tar(tree, kind=tarfile.GNU_FORMAT),
        _tar(tree[:5]),
        _tar(((".", directory, b""), ("./a", link, b"../.."), ("a/b", file, b"1"))),
        _tar((("a", file, b"1"), ("b", hard, b"a"), ("a", file, b"2"), (".wh.b", file, b""), ("b", directory, b""))),
    )


def _tar_targets() -> tuple[Target, ...]:
    seeds = _tar_seeds()
    packed = (
        *(gzip.compress(seed, mtime=0) for seed in seeds[:2]),
        gzip.compress(seeds[0], mtime=0) + bytes(10) + gzip.compress(bytes(1 << 24), mtime=0),
        *(zstandard.ZstdCompressor().compress(seed) for seed in (seeds[0], bytes(1 << 25))),
        *(tarfile_compress(seeds[0]) for tarfile_compress in _other_codecs()),
    )
    return (
        Target(name="tar", seeds=seeds, words=_TAR_WORDS, run=run_tar, shape="tar", weight=4),
        Target(
            name="compressed-tar",
            seeds=packed,
            words=(packed[0][:10], packed[3][:8], *_TAR_WORDS[2:4]),
            run=run_compressed_tar,
        ),
        Target(name="archive", seeds=_archive_seeds(), words=_JSON_WORDS, run=run_archive, shape="json", weight=3),
        Target(
            name="archive-tar",
            seeds=_archive_tars(),
            words=(*_TAR_WORDS, *_JSON_WORDS),
            run=run_archive_tar,
            shape="tar",
        ),
    )


def _other_codecs() -> Iterator[Callable[[bytes], bytes]]:
    import bz2
    import lzma

    yield bz2.compress
    yield lzma.compress


def run_tar(data: bytes, place: Path) -> str:
    fixed = data if zlib.crc32(data) % 4 == 0 else with_tar_checksums(data)
    plain = index_tar(io.BytesIO(fixed), place / "plain")
    with PackWriter(place / "pack") as pack:
        packed = index_tar(io.BytesIO(gzip.compress(fixed, 1, mtime=0)), place / "packed", pack=pack)
        pack.finish()
    assert plain.diff_id == packed.diff_id, "compression changes the DiffID"
    assert plain.summary.layer_id == packed.summary.layer_id, "compression changes the layer"
    assert plain.uncompressed_bytes == len(fixed), "bytes got lost"
    with LayerIndex(place / "plain") as index:
        index.verify()
        kinds = set()
        for entry, ref in index:
            assert not {b"..", b".", b""} & set(entry.path.split(b"/")) or not entry.path, "an impossible path"
            kinds.add(entry.kind)
            found = index.find(entry.path)
            assert found == (entry, ref), "an entry that can't be found"
            if ref.kind is ContentKind.BLOB:
                content = fixed[ref.offset : ref.offset + entry.size]
                assert hashlib.sha256(content).digest() == entry.digest, "content that lies elsewhere"
        return f"{sorted(kinds)} {len(index) > 8}"


def run_compressed_tar(data: bytes, place: Path) -> str:
    limits = replace(DEFAULT_LIMITS, layer_bytes=1 << 28)
    result = index_tar(io.BytesIO(data), place / "index", limits=limits)
    return f"{result.summary.entry_count}"


def _archive_seeds() -> tuple[bytes, ...]:
    layer = _tar((("hello", tarfile.REGTYPE, b"hi"),))
    return tuple(
        b"\xfe".join((shape, _CONFIG, _MANIFEST, _INDEX, _DOCKER, layer)) for shape in (b"layout", b"docker", b"both")
    )


def _archive_parts(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive whose documents were mutated one by one; digests and sizes are filled in afterwards."""
    shape, config, manifest, index, docker, *rest = (*data.split(b"\xfe", 5), b"", b"", b"", b"", b"")
    layer = rest[0]
    known = {b"layer": layer}
    for name, document in ((b"config", config), (b"manifest", manifest)):
        known[name] = _filled(document, known)
    config, manifest = known[b"config"], known[b"manifest"]
    layout = {f"blobs/sha256/{digest_of(blob).hex}": blob for blob in known.values()}
    layout |= {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": _filled(index, known)}
    saved = {"config.json": config, "layer.tar": layer, "manifest.json": _filled(docker, known)}
    return {b"layout": layout, b"docker": saved}.get(shape, layout | saved)


def _filled(document: bytes, known: dict[bytes, bytes]) -> bytes:
    for name, blob in known.items():
        document = document.replace(b"@%b@" % name, digest_of(blob).encode())
        document = document.replace(b'"@%b-size@"' % name, b"%d" % len(blob))
    return document


def _archive_tars() -> tuple[bytes, ...]:
    shapes = [
        tuple((name, tarfile.REGTYPE, blob) for name, blob in _archive_parts(seed).items()) for seed in _archive_seeds()
    ]
    tars = [_tar(files) for files in shapes]
    linked = (*shapes[-1], ("link", tarfile.SYMTYPE, b"blobs/../layer.tar"), ("hard", tarfile.LNKTYPE, b"layer.tar"))
    return (*tars, _tar(linked), gzip.compress(tars[0], mtime=0))


def run_archive(data: bytes, place: Path) -> str:
    files = _archive_parts(data)
    for name, blob in files.items():
        path = place / "layout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    (place / "archive").write_bytes(_tar(tuple((name, tarfile.REGTYPE, blob) for name, blob in files.items())))
    results = [_loaded(place / name, place) for name in ("layout", "archive")]
    assert results[0].split()[0] == results[1].split()[0], f"directory and tar differ: {results}"
    return results[0]


def run_archive_tar(data: bytes, place: Path) -> str:
    (place / "archive").write_bytes(data if zlib.crc32(data) % 4 == 0 else with_tar_checksums(data))
    return _loaded(place / "archive", place)


def _loaded(source: Path, place: Path) -> str:
    try:
        with open_archive(source, spool=place / "spool", platform=AMD64) as images:
            for image in images:
                assert digest_of(image.config) == image.image_id, "an image id that is not its config's digest"
                for layer in image.layers:
                    with layer.open() as stream:
                        while stream.read(1 << 16):
                            pass
            return f"{len(images)} {[len(image.names) for image in images]}"
    except JettisonError as error:
        return f"{error.slug} {error.message.partition(': ')[2].partition(' ')[2]:.60}"


# Our own files, corrupted

_ENTRIES = (
    (FileEntry(b"", EntryKind.DIRECTORY, 0o755), NO_CONTENT),
    (FileEntry(b"a", EntryKind.DIRECTORY, 0o755, is_opaque=True), NO_CONTENT),
    (
        FileEntry(b"a/b", EntryKind.FILE, size=3, digest=bytes(32), xattrs=((b"user.x", b"y"),)),
        ContentRef(ContentKind.PACK, "", 7),
    ),
    (FileEntry(b"a/c", EntryKind.HARD_LINK, link_target=b"a/b"), NO_CONTENT),
    (
        FileEntry(b"a/d", EntryKind.FILE, size=5, digest=bytes(32), is_fresh=True),
        ContentRef(ContentKind.FS, "sha256:" + "ab" * 32, 0, b"other"),
    ),
    (FileEntry(b"dev", EntryKind.CHAR_DEVICE, device=(1, 3)), NO_CONTENT),
    (FileEntry(b"gone", EntryKind.WHITEOUT), NO_CONTENT),
    (FileEntry(b"link", EntryKind.SYMLINK, 0o777, mtime_ns=-5, link_target=b"a/b"), NO_CONTENT),
)


def index_seed(place: Path) -> bytes:
    """Return the bytes of a small layer index."""
    with IndexWriter(place / "seed") as writer:
        for entry, ref in _ENTRIES:
            writer.add(entry, ref)
        writer.finish()
    data = (place / "seed").read_bytes()
    (place / "seed").unlink()
    return data


def _file_targets() -> tuple[Target, ...]:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        index = index_seed(Path(place))
    numbers = (
        bytes(8),
        b"\xff" * 8,
        b"\xff\xff",
        b"\x01\0",
        b"\0\0\0\0\0\0\0\x80",
        b"JETINDEX",
        (160).to_bytes(8, "little"),
    )
    record = {
        "version": ("x", 1),
        "generation": "1",
        "env": [],
        "files": [],
        "contexts": [],
        "result": {"image_id": "sha256:1"},
    }
    payloads = (marshal.dumps(record), marshal.dumps({b"a": ((1, 2, 3, 4, 5, 6), bytes(32))}))
    headers = (memo._HEADER, _stat_header())  # noqa: SLF001 - the seeds must be real files
    seeds = tuple(head + hashlib.sha256(body).digest() + body for head, body in zip(headers, payloads, strict=True))
    return (
        Target(name="index", seeds=(index,), words=numbers, run=run_index),
        Target(name="memo", seeds=seeds[:1], words=(*headers, *payloads), run=run_memo),
        Target(name="statcache", seeds=seeds[1:], words=(*headers, *payloads), run=run_statcache),
    )


def _stat_header() -> bytes:
    from jettison.fastpath import statcache

    return statcache._HEADER  # noqa: SLF001 - the seed must be a real file


def run_index(data: bytes, place: Path) -> str:
    path = place / "index"
    path.write_bytes(data if zlib.crc32(data) % 4 == 0 else with_index_header(data))
    outcomes = []
    with LayerIndex(path) as index:
        for use in (_iterate, _find, _below, LayerIndex.verify):
            try:
                use(index)
                outcomes.append("ok")
            except LayerError as error:
                outcomes.append(error.message.partition(":")[2])
        if outcomes[-1] == "ok":
            entries = [entry for entry, _ in index]
            for entry, ref in index:
                assert index.find(entry.path) == (entry, ref), "a verified index does not find its entry"
            assert entries == [entry for entry, _ in index.subtree(b"")], "a verified index disagrees with itself"
    return " ".join(outcomes)


def _iterate(index: LayerIndex) -> None:
    for _ in index:
        pass


def _find(index: LayerIndex) -> None:
    for path in (b"", b"a", b"a/b", b"a/bb", b"link", b"zzz"):
        index.find(path)


def _below(index: LayerIndex) -> None:
    for path in (b"", b"a", b"a/b", b"zzz"):
        for number, _ in enumerate((*_bounded(index.subtree(path)), *_bounded(index.children(path)))):
            assert number < 100_000, "more entries than bytes"
    for _ in index.implied_paths():
        pass


def _bounded(slots: Iterator[object]) -> Iterator[object]:
    for number, slot in enumerate(slots):
        assert number < 100_000, "more entries than bytes"
        yield slot


def run_memo(data: bytes, place: Path) -> str:
    key = memo.memo_key(("build", "."), "/x")
    (place / "memo").mkdir()
    (place / "memo" / key.decode()).write_bytes(data)
    record = memo.load_record(os.fspath(place), key)
    if record is not None:
        assert data == all_seeds()["memo"][0], "a changed record is believed"
        memo.is_current(record, os.fspath(place), {})
    stream = io.StringIO()
    code = memo.replay(["build", ".", "--root", os.fspath(place)], "/x", {"HOME": os.fspath(place)}, stream, stream)
    assert code is None, "a corrupt record answers a build"
    return str(record is None)


def run_statcache(data: bytes, place: Path) -> str:
    (place / "stat").write_bytes(data)
    cache = StatCache(os.fspath(place / "stat"))
    count = len(cache)
    if count:
        assert data == all_seeds()["statcache"][0], "a changed cache is believed"
    cache.get(b"a", (1, 2, 3, 4, 5, 6))
    cache.put(b"b", (1, 2, 3, 4, 5, 6), bytes(32), began_ns=1 << 62)
    cache.forget_all_but({b"b"})
    cache.save()
    assert len(StatCache(os.fspath(place / "stat"))) == 1, "a cache is not mended by saving"
    return str(count)


_SEEDS: dict[str, tuple[bytes, ...]] = {}


def all_seeds() -> dict[str, tuple[bytes, ...]]:
    """Return the seeds of our own files by target."""
    if not _SEEDS:
        _SEEDS.update({target.name: target.seeds for target in _file_targets()})
    return _SEEDS


def describe(data: bytes) -> str:
    """Return the start of an input for a person."""
    return json.dumps(data[:200].decode("latin-1"))
