"""Downloads what the stand-ins are made of, through the ordinary clients pip and npm, and checks it.

    python bases/fetch.py --cache DIR [--architecture amd64|arm64] [REFERENCE ...]

A file is kept in the cache under its pinned digest, so it is downloaded once. Without references: for every base.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class BaseError(Exception):
    """Something outside is not as a stand-in needs it; the message says what to do."""


@dataclass(frozen=True)
class Download:
    """One file of a registry, pinned by version and digest."""

    file: str
    client: str
    package: str
    version: str
    algorithm: str
    digest: str
    architecture: str | None = None
    platform: str | None = None

    @property
    def cached_name(self) -> str:
        return f"{self.algorithm}-{self.digest[:32]}-{self.file}"


@dataclass(frozen=True)
class Base:
    """One stand-in: either a root file system to import, or a Dockerfile to build."""

    reference: str
    rootfs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    context: str = ""
    common: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()

    def downloads_for(self, architecture: str) -> list[Download]:
        """Chooses the files for one architecture; fails if a name has none."""
        chosen = [one for one in self.downloads if one.architecture in {None, architecture}]
        lacking = {one.file for one in self.downloads} - {one.file for one in chosen}
        if lacking:
            names = ", ".join(sorted(lacking))
            raise BaseError(f"{self.reference}: bases.toml has no {names} for {architecture}")
        return chosen


@dataclass(frozen=True)
class Catalogue:
    """What bases.toml says."""

    epoch: int
    bases: dict[str, Base]

    def with_needs(self, references: list[str]) -> list[Base]:
        """Puts the wanted bases and all they need in an order in which they can be made."""
        ordered: dict[str, Base] = {}

        def visit(reference: str, path: tuple[str, ...]) -> None:
            if reference in ordered:
                return
            if reference in path:
                raise BaseError(f"bases.toml: {' needs '.join((*path, reference))}")
            base = self.bases.get(reference)
            if base is None:
                raise BaseError(f"there is no stand-in for {reference}; there is one for: {', '.join(self.bases)}")
            for need in base.needs:
                visit(need, (*path, reference))
            ordered[reference] = base

        for reference in references or list(self.bases):
            visit(reference, ())
        return list(ordered.values())


def load(path: Path = HERE / "bases.toml") -> Catalogue:
    """Reads bases.toml."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    bases = {}
    for entry in data["base"]:
        downloads = tuple(_download(one) for one in entry.pop("download", ()))
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        base = Base(**fields, downloads=downloads)
        if bool(base.rootfs) == bool(base.context):
            raise BaseError(f"bases.toml: {base.reference} must have either rootfs or context")
        bases[base.reference] = base
    return Catalogue(epoch=data["source_date_epoch"], bases=bases)


def _download(entry: dict[str, str]) -> Download:
    fields = dict(entry)
    algorithm = "sha512" if "sha512" in fields else "sha256"
    digest = fields.pop(algorithm)
    return Download(**fields, algorithm=algorithm, digest=digest)


def host_architecture() -> str:
    """Names this machine's architecture as images do."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise BaseError(f"there are no stand-ins for {machine}")
    return ARCHITECTURES[machine]


def fetch(download: Download, cache: Path) -> Path:
    """Returns the path of the checked file, downloading it if the cache lacks it."""
    folder = cache / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / download.cached_name
    if target.exists() and _digest(target, download.algorithm) == download.digest:
        return target
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
        _run_client(download, Path(partial))
        files = [path for path in Path(partial).iterdir() if path.suffix in {".whl", ".tgz"}]
        if len(files) != 1:
            raise BaseError(f"{download.client} left {len(files)} files for {download.package} {download.version}")
        found = _digest(files[0], download.algorithm)
        if found != download.digest:
            raise BaseError(
                f"{download.package} {download.version} has {download.algorithm} {found}, "
                f"bases.toml expects {download.digest}",
            )
        files[0].replace(target)
    return target


def _run_client(download: Download, folder: Path) -> None:
    wanted = {"pip": f"{download.package}=={download.version}", "npm": f"{download.package}@{download.version}"}
    if download.client == "pip":
        command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
        command += ["--platform", download.platform or "any", "--dest", str(folder), wanted["pip"]]
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise BaseError(f"npm is needed once, to download {wanted['npm']} from its registry; install it")
        command = [npm, "pack", "--silent", "--pack-destination", str(folder), wanted["npm"]]
    # Run in a folder without package.json and .npmrc: settings of some project around must not matter.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BaseError(f"{' '.join(command)} failed:\n{done.stderr.strip() or done.stdout.strip()}")


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    raise BaseError("pip is needed once, to download from its registry; install it")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="directory that keeps the files")
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES.values()), default=host_architecture())
    parser.add_argument("references", nargs="*", metavar="REFERENCE", help="bases to download for; default: all")
    arguments = parser.parse_args(argv)
    for base in load().with_needs(arguments.references):
        for download in base.downloads_for(arguments.architecture):
            path = fetch(download, arguments.cache)
            print(f"{base.reference}: {download.file} is {download.package} {download.version}, {path}")
    return os.EX_OK


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BaseError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        sys.exit(1)
