"""What is built: contexts and a base image, made on the spot, the same every time."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from random import Random

_WORDS = b"export const value = 'a plain text';\n"


def make_base(path: Path) -> None:
    """Write a root file system with a static busybox as a tar.

    Raises:
        FileNotFoundError: busybox is not installed.

    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox")
    with tarfile.open(path, "w") as tar:
        for name in ("bin", "etc", "tmp"):
            _add(tar, name, b"", kind=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        _add(tar, "bin/busybox", Path(busybox).read_bytes(), mode=0o755)
        for name in ("sh", "true", "sleep", "cp", "mkdir"):
            _add(tar, f"bin/{name}", b"", kind=tarfile.SYMTYPE, link="busybox")
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")


def make_context(directory: Path, dockerfile: str, *, files: int = 0, file_bytes: int = 700) -> Path:
    """Make a context: the Dockerfile and ``src`` with that many files, 50 to a directory; return it."""
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(dockerfile)
    sources = directory / "src"
    sources.mkdir()
    for number in range(files):
        home = sources / f"module{number // 50}"
        if number % 50 == 0:
            home.mkdir()
        (home / f"file{number}.js").write_bytes(_content(number, file_bytes))
    return directory


def _content(number: int, size: int) -> bytes:
    """Return text that gzip makes about three times smaller, as it does with real sources; the same for the same number."""
    digits = Random(number).randbytes(size // 4 + 16).hex().encode()
    lines = (b"/* %s */ %s" % (digits[at : at + 40], _WORDS) for at in range(0, len(digits), 40))
    return b"".join(lines)[:size]


def _add(
    tar: tarfile.TarFile, name: str, data: bytes, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = ""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname, member.mtime = kind, mode, len(data), link, 1_600_000_000
    tar.addfile(member, io.BytesIO(data))
