"""Makes the stand-ins of bases.toml with Jettison, in the order in which they need each other.

    python bases/build.py --root ROOT --cache DIR [REFERENCE ...]

Without references: all of them. A base whose inputs are those recorded in its label is left alone. Give it a root of
its own, never the one that real builds use: a stand-in bears the name of a real image.

A mirror of Debian's packages may be named by DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR, proxies by http_proxy and https_proxy
or this machine's apt; none of it gets into an image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fetch import HERE, Base, BaseError, Catalogue, fetch, host_architecture, load

INPUTS_LABEL = "org.jettison.stand-in.inputs"


@dataclass(frozen=True)
class Debian:
    """How this machine reaches Debian's packages: mirrors of its own (empty: Debian's address) and proxies."""

    mirror: str
    security: str
    proxies: dict[str, str]

    def environment(self) -> dict[str, str]:
        """What make_rootfs.sh reads."""
        found = dict(self.proxies)
        if self.mirror:
            found |= {"DEBIAN_MIRROR": self.mirror, "DEBIAN_SECURITY_MIRROR": self.security}
        return found


def host_debian(environ: dict[str, str]) -> Debian:
    """Asks the environment for mirrors, and for proxies this machine's apt too."""
    proxies = {}
    for scheme in ("http", "https"):
        proxy = environ.get(f"{scheme}_proxy") or _apt_option(f"Acquire::{scheme}::Proxy")
        if proxy and proxy != "DIRECT":
            proxies[f"{scheme}_proxy"] = proxy
    if proxies and (exceptions := environ.get("no_proxy")):
        proxies["no_proxy"] = exceptions
    mirror, security = (environ.get(name, "").rstrip("/") for name in ("DEBIAN_MIRROR", "DEBIAN_SECURITY_MIRROR"))
    if bool(mirror) != bool(security):
        raise BaseError("DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR go together")
    return Debian(mirror, security, proxies)


def _apt_option(name: str) -> str:
    return _output(["apt-config", "--format", "%v%n", "dump", name]).strip()


def _output(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


class Builder:
    """Makes bases in one root."""

    def __init__(self, jettison: list[str], cache: Path, catalogue: Catalogue, debian: Debian) -> None:
        self._jettison = jettison
        self._cache = cache
        self._catalogue = catalogue
        self._debian = debian
        self._architecture = host_architecture()
        self._environment = os.environ | {"SOURCE_DATE_EPOCH": str(catalogue.epoch)}
        self._digests: dict[str, str] = {}

    def make(self, base: Base, *, again: bool) -> bool:
        """Makes one base whose needs are there; says whether there was anything to do."""
        digest = self.inputs_digest(base)
        if not again and self._recorded(base.reference) == digest:
            return False
        if base.rootfs:
            self._import(base, digest, again=again)
        else:
            self._build(base, digest, again=again)
        return True

    def inputs_digest(self, base: Base) -> str:
        """Names everything that the base is made of, but for the state of Debian's archive."""
        if base.reference in self._digests:
            return self._digests[base.reference]
        description: dict[str, Any] = {
            "architecture": self._architecture,
            "epoch": self._catalogue.epoch,
            "base": {key: value for key, value in asdict(base).items() if key != "downloads"},
            "downloads": [asdict(one) for one in base.downloads_for(self._architecture)],
            "files": {name: _file_digest(path) for name, path in _files_of(base).items()},
            "needs": [self.inputs_digest(self._catalogue.bases[need]) for need in base.needs],
        }
        text = json.dumps(description, sort_keys=True)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self._digests[base.reference] = digest
        return digest

    def _recorded(self, reference: str) -> str | None:
        command = [*self._jettison, "inspect", "--format", "json", reference]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        if done.returncode != 0:
            return None
        try:
            return _find(json.loads(done.stdout), INPUTS_LABEL)
        except ValueError as error:
            raise BaseError(f"{shlex.join(command)} printed no JSON: {error}") from error

    def _import(self, base: Base, digest: str, *, again: bool) -> None:
        # The root file system is made whole before anything is imported: a broken pipe must not become an image.
        folder = self._cache / "rootfs"
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f"{digest.removeprefix('sha256:')[:32]}.tar"
        if again or not archive.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
                whole = Path(partial) / archive.name
                with whole.open("wb") as file:
                    environment = self._environment | self._debian.environment()
                    self._run([str(HERE / "make_rootfs.sh"), *base.rootfs], environment, stdout=file)
                whole.replace(archive)
        changes = [*base.changes, f'LABEL {INPUTS_LABEL}="{digest}"']
        options = [word for change in changes for word in ("--change", change)]
        with archive.open("rb") as file:
            self._run([*self._jettison, "import", *options, "-", base.reference], self._environment, stdin=file)

    def _build(self, base: Base, digest: str, *, again: bool) -> None:
        with tempfile.TemporaryDirectory(dir=self._cache, prefix=".context-") as folder:
            context = Path(folder) / "context"
            self._stage(base, context)
            options = ["--label", f"{INPUTS_LABEL}={digest}", *self._network_options(Path(folder))]
            if again:
                options.append("--no-cache")
            options += ["-t", base.reference, "-f", str(context / "Dockerfile")]
            self._run([*self._jettison, "build", *options, str(context)], self._environment)

    def _network_options(self, folder: Path) -> list[str]:
        options = []
        for name, value in self._debian.proxies.items():
            options += ["--build-arg", f"{name}={value}"]
        if self._debian.mirror:
            secret = folder / "debian_mirrors"
            secret.write_text(f"mirror={self._debian.mirror}\nsecurity={self._debian.security}\n", encoding="utf-8")
            options += ["--secret", f"id=debian_mirrors,src={secret}"]
        return options

    def _stage(self, base: Base, context: Path) -> None:
        """Puts the context together, with times and modes that don't depend on the checkout."""
        context.mkdir()
        for name, source in _files_of(base).items():
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        for download in base.downloads_for(self._architecture):
            shutil.copyfile(fetch(download, self._cache), context / download.file)
            (context / download.file).chmod(0o644)
        for path in [*context.rglob("*"), context]:
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (self._catalogue.epoch, self._catalogue.epoch))

    @staticmethod
    def _run(command: list[str], environment: dict[str, str], *, stdin: Any = None, stdout: Any = None) -> None:
        print(f"  $ {shlex.join(command)}", flush=True)
        source = subprocess.DEVNULL if stdin is None else stdin
        status = subprocess.run(command, env=environment, stdin=source, stdout=stdout, check=False).returncode
        if status != 0:
            raise BaseError(f"{command[0]} ended with status {status}")


def _files_of(base: Base) -> dict[str, Path]:
    """Maps names in the context (or below bases/, for a root file system) to files."""
    if base.rootfs:
        roots = {name: HERE / name for name in base.inputs}
    else:
        roots = {path.name: path for path in (HERE / base.context).iterdir()}
        roots |= {name: HERE / "common" / name for name in base.common}
    files = {}
    for name, root in sorted(roots.items()):
        below = [path for path in sorted(root.rglob("*")) if path.is_file()] if root.is_dir() else [root]
        for path in below:
            files[str(Path(name) / path.relative_to(root))] = path
    return files


def _file_digest(path: Path) -> str:
    kind = "x" if os.access(path, os.X_OK) else "-"
    return f"{kind}{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _find(value: Any, key: str) -> str | None:
    """Finds a label wherever `inspect` puts it."""
    if isinstance(value, dict):
        if isinstance(value.get(key), str):
            return str(value[key])
        value = list(value.values())
    if isinstance(value, list):
        return next((found for one in value if (found := _find(one, key)) is not None), None)
    return None


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="Jettison's state directory for the stand-ins")
    parser.add_argument("--cache", type=Path, required=True, help="directory for downloads and root file systems")
    parser.add_argument("--jettison", default="jettison", metavar="COMMAND", help="how to start it (default: jettison)")
    parser.add_argument("--again", action="store_true", help="make them even if nothing changed: for newer packages")
    parser.add_argument("references", nargs="*", metavar="REFERENCE", help="bases to make, with what they need")
    arguments = parser.parse_args(argv)
    if platform.system() != "Linux":
        raise BaseError("the stand-ins are made of Debian packages, on Linux only")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    catalogue = load()
    command = shlex.split(arguments.jettison)
    if shutil.which(command[0]) is None:
        raise BaseError(f"{command[0]} is not there; name it with --jettison")
    jettison = [*command, "--root", str(arguments.root)]
    builder = Builder(jettison, arguments.cache.resolve(), catalogue, host_debian(dict(os.environ)))
    began = time.monotonic()
    for base in catalogue.with_needs(arguments.references):
        start = time.monotonic()
        print(f"{base.reference}", flush=True)
        done = "made" if builder.make(base, again=arguments.again) else "unchanged"
        print(f"{base.reference}: {done}, {time.monotonic() - start:.1f} s", flush=True)
    print(f"in all {time.monotonic() - began:.1f} s")
    return os.EX_OK


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BaseError as error:
        print(f"build.py: {error}", file=sys.stderr)
        sys.exit(1)
