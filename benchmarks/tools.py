"""The builders that are measured: how each is told to build, export and forget. Each has a directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SOURCE = Path(__file__).parents[1] / "src"
BASE = "localhost/bench-base:latest"


class CommandError(Exception):
    """A measured command failed; the message holds what it wrote last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: wall time, and the largest resident set of any one process of it."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What to build. ``parallel`` is how many stages may run at once where a tool has to be told."""

    context: Path
    tag: str = "localhost/bench:latest"
    is_cached: bool = True
    parallel: int = 1


class Tool(Protocol):
    """A builder under measurement."""

    name: str

    def version(self) -> str:
        """Return its version."""
        ...

    def load_base(self, archive: Path) -> None:
        """Bring in the base image from an OCI archive."""
        ...

    def build(self, wanted: Build) -> list[list[str]]:
        """Return the commands of a build into the tool's own store."""
        ...

    def export(self, tag: str, dest: Path) -> list[list[str]]:
        """Return the commands that write an image as an OCI archive, gzip."""
        ...

    def build_and_export(self, wanted: Build, dest: Path) -> list[list[str]]:
        """Return the commands that do both."""
        ...

    def forget(self) -> None:
        """Throw the whole store away."""
        ...

    def environment(self) -> dict[str, str]:
        """Return the variables of its commands."""
        ...


class Jettison:
    """This checkout, with the running interpreter."""

    name = "jettison"

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self._command = [sys.executable, "-m", "jettison", "--root", str(self.root)]

    def version(self) -> str:
        return _first_line([*self._command, "version"], self.environment()).removeprefix("jettison ")

    def load_base(self, archive: Path) -> None:
        measure(self, [[*self._command, "load", "-q", "-i", str(archive)]])

    def import_base(self, rootfs: Path, archive: Path) -> None:
        """Make the base image of a tar and write it as an OCI archive for the others."""
        measure(
            self,
            [
                [*self._command, "import", str(rootfs), BASE, "-c", 'CMD ["sh"]'],
                [*self._command, "save", "--format", "oci", "-o", str(archive), BASE],
            ],
        )

    def build(self, wanted: Build) -> list[list[str]]:
        return [self._build(wanted)]

    def export(self, tag: str, dest: Path) -> list[list[str]]:
        return [[*self._command, "save", "--format", "oci", "-o", str(dest), tag]]

    def build_and_export(self, wanted: Build, dest: Path) -> list[list[str]]:
        command = self._build(wanted)
        return [[*command[:-1], "-o", f"type=oci,dest={dest}", command[-1]]]

    def forget(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(_SOURCE)}

    def _build(self, wanted: Build) -> list[str]:
        cache = [] if wanted.is_cached else ["--no-cache"]
        return [*self._command, "build", "--progress", "plain", *cache, "-t", wanted.tag, str(wanted.context)]


class Buildah:
    """buildah with a store of its own and ``--isolation chroot``, its quickest."""

    name = "buildah"

    def __init__(self, directory: Path) -> None:
        self._stores = [directory / "root", directory / "runroot"]
        self._policy = directory / "policy.json"
        directory.mkdir(parents=True, exist_ok=True)
        self._policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._command = ["buildah", "--root", str(self._stores[0]), "--runroot", str(self._stores[1])]

    def version(self) -> str:
        return _first_line([*self._command, "--version"], self.environment()).removeprefix("buildah version ")

    def load_base(self, archive: Path) -> None:
        pull = [*self._command, "pull", "-q", "--signature-policy", str(self._policy), f"oci-archive:{archive}"]
        done = subprocess.run(pull, env=self.environment(), capture_output=True, text=True, check=True)
        measure(self, [[*self._command, "tag", done.stdout.split()[-1], BASE]])

    def build(self, wanted: Build) -> list[list[str]]:
        flags = ["--layers", "--isolation", "chroot", "--pull-never", "--signature-policy", str(self._policy)]
        flags += [] if wanted.is_cached else ["--no-cache"]
        flags += ["--jobs", str(wanted.parallel)] if wanted.parallel > 1 else []
        return [[*self._command, "bud", *flags, "-t", wanted.tag, str(wanted.context)]]

    def export(self, tag: str, dest: Path) -> list[list[str]]:
        dest.unlink(missing_ok=True)  # an archive that exists is not written over
        return [[*self._command, "push", "--signature-policy", str(self._policy), tag, f"oci-archive:{dest}"]]

    def build_and_export(self, wanted: Build, dest: Path) -> list[list[str]]:
        return [*self.build(wanted), *self.export(wanted.tag, dest)]

    def forget(self) -> None:
        subprocess.run([*self._command, "rm", "-a"], env=self.environment(), capture_output=True, check=False)
        subprocess.run([*self._command, "rmi", "-a", "-f"], env=self.environment(), capture_output=True, check=False)

    def environment(self) -> dict[str, str]:
        return dict(os.environ)


def open_tools(directory: Path) -> list[Tool]:
    """Return this builder, then each rival that is installed."""
    tools: list[Tool] = [Jettison(directory / "jettison")]
    if shutil.which("buildah"):
        tools.append(Buildah(directory / "buildah"))
    return tools


def measure(tool: Tool, commands: list[list[str]]) -> Sample:
    """Run the commands one after the other; the time is their sum.

    Raises:
        CommandError: one failed.

    """
    total, peak = 0.0, 0.0
    for command in commands:
        with subprocess.Popen(
            command, env=tool.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            started = time.perf_counter()
            assert process.stdout is not None, "it was asked for"
            output = process.stdout.read()
            _pid, status, used = os.wait4(process.pid, 0)
            total += time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise CommandError(f"{' '.join(command)}\n{output.decode('utf-8', 'replace')[-2000:]}")
        peak = max(peak, used.ru_maxrss / 1024)
    return Sample(seconds=total, peak_mib=peak)


def _first_line(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]
