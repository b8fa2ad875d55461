"""The whole product with a store of its own: the command in this process or in another, the API, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import jettison
from jettison.api.request import Settings
from jettison.cli import main as command_line
from jettison.store.reach import Reach
from jettison.store.root import open_store

SOURCE = Path(jettison.__file__).parent.parent
BUSYBOX = next((path for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")) if path.exists()), None)
BASE = "busybox:test"
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
)
GROUP = "root:x:0:\napp:x:1000:\ntools:x:50:app\nnogroup:x:65534:\n"
# What the caller's environment may not bring into a test.
_UNWANTED = ("SOURCE_DATE_EPOCH", "JETTISON_", "XDG_", "BUILDKIT_", "_proxy", "_PROXY", "_CA_", "CERT", "CA_BUNDLE")


def make_busybox_tar(path):
    """Write a root file system of busybox: static, a few users, nothing else."""
    if BUSYBOX is None:
        pytest.skip("no busybox (package busybox-static)")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, check=True, text=True).stdout.split()
    with tarfile.open(path, "w") as tar:

        def add(name, data=None, mode=0o755, **fields):
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, 1_600_000_000
            info.type = fields.get("type", tarfile.REGTYPE if data is not None else tarfile.DIRTYPE)
            info.linkname = fields.get("linkname", "")
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))

        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr"):
            add(name)
        add("tmp", mode=0o1777)
        add("etc/passwd", PASSWD.encode(), 0o644)
        add("etc/group", GROUP.encode(), 0o644)
        add("bin/busybox", BUSYBOX.read_bytes())
        for applet in applets:
            if applet != "busybox":
                add(f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox", mode=0o777)


def clean_environment(home):
    """Return the environment of a caller who has set nothing."""
    kept = {name: value for name, value in os.environ.items() if not any(word in name for word in _UNWANTED)}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": f"{home}/.config"}


@dataclass
class Answer:
    code: int
    out_bytes: bytes
    err: str

    @property
    def out(self):
        return self.out_bytes.decode()

    def check(self):
        assert self.code == 0, self.err
        return self


@dataclass
class Built:
    result: jettison.BuildResult
    events: list = field(default_factory=list)

    @property
    def image_id(self):
        return self.result.image_id

    def reasons(self):
        """How each step was had, by its name without the position."""
        return {step.name.partition("] ")[2]: step.reason for step in self.result.steps}

    def ran(self):
        return [name for name, reason in self.reasons().items() if reason == "ran"]

    def output(self, name):
        ops = {event.op for event in self.events if type(event).__name__ == "OpStarted" and name in event.name}
        return b"".join(
            event.data for event in self.events if type(event).__name__ == "OpOutput" and event.op in ops
        ).decode()

    def named(self, kind):
        return [event for event in self.events if type(event).__name__ == kind]


class Product:
    """One root directory and the ways to use it."""

    def __init__(self, place, *, id_mode="auto"):
        self.place = Path(place)
        self.root = self.place / "root"
        self.home = self.place / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment = clean_environment(self.home)
        self.id_mode = id_mode

    def settings(self, **changes):
        values = {"root": self.root, "environment": self.environment, "id_mode": self.id_mode, **changes}
        return Settings(**values)

    def import_busybox(self, tar):
        from jettison.api.images import import_rootfs

        return import_rootfs(self.settings(), str(tar), BASE, changes=('CMD ["sh"]',))

    def build(self, context, dockerfile=None, *, has_memo=True, env=None, **options):
        """Build through the API; a Dockerfile given as text is written into the context first."""
        if dockerfile is not None:
            (Path(context) / "Dockerfile").write_text(dockerfile)
        settings = self.settings(has_memo=has_memo, environment={**self.environment, **(env or {})})
        events = []
        result = jettison.build(context, settings=settings, on_event=events.append, **options)
        return Built(result, events)

    def cli(self, *argv, stdin=b"", env=None):
        """Run the command in this process, as its entry point does."""
        words = ["--root", str(self.root), *map(str, argv)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as into:
            into.write(stdin)
            into.seek(0)
            with _streams(into, out, err), _environment({**self.environment, **(env or {})}):
                code = command_line._from_memo(words)
                if code is None:
                    code = command_line.main(words)
            out.seek(0)
            err.seek(0)
            return Answer(code, out.read(), err.read().decode())

    def words(self, *argv):
        """Return the command as another process runs it."""
        return [sys.executable, "-m", "jettison", "--root", str(self.root), *map(str, argv)]

    def spawn(self, *argv, env=None, limits=(), **options):
        """Start the command with default signals, in a session of its own."""

        def prepare():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            for name, value in limits:
                resource.setrlimit(name, (value, value))

        environment = {**self.environment, "PYTHONPATH": str(SOURCE), **(env or {})}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            self.words(*argv),
            env=environment,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  it sets signals and limits only
            **options,
        )

    def command(self, *argv, stdin=None, timeout=60, **options):
        """Run the command as a process of its own to its end."""
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        with self.spawn(*argv, **options) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Answer(process.returncode, out or b"", (err or b"").decode())

    def files_of(self, image, *paths):
        """Return the text of files in an image, through its tar."""
        return {name: data.decode() for name, data in self.contents(image).items() if name in paths}

    def contents(self, image):
        """Return the regular files of an image that was built: path to bytes."""
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "Dockerfile").write_text(f"FROM {image}\n")
            return tar_contents(self.cli("build", "-o", "-", place).check().out_bytes)

    def config_of(self, image):
        return json.loads(self.cli("inspect", image).check().out)[0]["Config"]

    def unreferenced(self):
        """What is in the store though nothing needs it; empty after a prune."""
        found = [f"{name}/{entry}" for name in ("tmp", "trash") for entry in sorted(os.listdir(self.root / name))]
        with open_store(self.root, id_mode=json.loads((self.root / "store.json").read_text())["id_mode"]) as store:
            reach = Reach(store)
            reach.adopt(reach.find([*store.images.tags().values()]))
            found += [f"layer {name}" for name in sorted(reach.known_layers - reach.layers)]
            found += [f"blob {name}" for name in sorted(reach.known_blobs - reach.blobs)]
            found += [f"missing {name}" for name in sorted(reach.layers - reach.known_layers)]
            found += [f"stray {name}" for name in (*store.layers.strays(), *store.blobs.strays())]
        return found

    def processes(self, *words):
        """Return the ids of living processes whose command line names this root, or one of the words."""
        return processes_with(str(self.root), *words)

    def wait_for_no_process(self, *words, seconds=10):
        wait_until(lambda: not self.processes(*words), f"processes of {self.root} to end", seconds)


def tar_contents(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}


def processes_with(*words):
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            line = Path("/proc", name, "cmdline").read_bytes().decode("utf-8", "replace")
            if int(name) != os.getpid() and any(word in line for word in words):
                found.append(int(name))
    return found


def wait_until(is_true, what, seconds=20):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.005)


def bytes_below(path):
    """Return how many bytes lie in files below the path just now."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def a_context(path, **files):
    """Make a directory with files; names are given as keywords or, with slashes and dots, by ``write``."""
    path.mkdir(parents=True, exist_ok=True)
    write(path, files)
    return path


def write(path, files):
    for name, text in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())


def needs(program):
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@contextmanager
def _streams(into, out, err):
    sys.stdout.flush()
    sys.stderr.flush()
    names = ("stdin", "stdout", "stderr")
    kept = [os.dup(number) for number in range(3)]
    objects = [getattr(sys, name) for name in names]
    for number, file in enumerate((into, out, err)):
        os.dup2(file.fileno(), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  closed below
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        for name, stream in zip(names, objects, strict=True):
            getattr(sys, name).close()
            setattr(sys, name, stream)
        for number, fd in enumerate(kept):
            os.dup2(fd, number)
            os.close(fd)


@contextmanager
def _environment(values):
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
