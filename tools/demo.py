"""`make demo`: a real web app and a real Go service, each built naive (one stage) and lean (multi-stage), run and measured.

Everything happens in a root of its own (.demo/ in this checkout, or --root): the user's default root is not touched. Base images
come from Docker Hub when it answers within two seconds, else from the stand-ins of bases/. Every number in the table is
measured in this run; naive and lean share base tag, lock file and sources.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
HUB = ("registry-1.docker.io", 443)
HUB_SECONDS = 2.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    name: str
    context: str
    path: str
    text: str
    tests: str


STACKS = (
    Stack(name="React (Vite)", context="examples/web", path="/", text="Harbour Ledger", tests="test"),
    Stack(name="Go service", context="examples/go-service", path="/", text="Tallyman", tests="test"),
)
BASES = (
    "node:22-slim",
    "nginx:alpine",
    "golang:1.23",
    "gcr.io/distroless/static-debian12:nonroot",
    "busybox:stable",
    "alpine:3",
    "debian:stable-slim",
)


@dataclass
class Built:
    size_bytes: int
    first_seconds: float
    ran: int
    unchanged_seconds: float
    page: str


class DemoError(Exception):
    pass


class Demo:
    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.cache = cache
        self.command = [sys.executable, "-m", "jettison", "--root", str(root)]
        self.logs = root.parent / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def jettison(self, *words: str, capture: bool = False) -> str:
        command = [*self.command, *words]
        say(f"    $ jettison {shlex.join(words)}")
        done = subprocess.run(command, stdout=subprocess.PIPE if capture else None, text=True, check=False, cwd=HERE)
        if done.returncode:
            raise DemoError(f"'jettison {shlex.join(words)}' ended with {done.returncode}")
        return done.stdout or ""

    def make_bases(self, references: tuple[str, ...]) -> None:
        if hub_answers():
            say("==> base images: Docker Hub answers, it is used")
            for reference in references:
                self.jettison("pull", "-q", reference)
            return
        say("==> base images: Docker Hub is not asked or does not answer; making stand-ins (bases/), kept between runs")
        command = [sys.executable, "bases/build.py", "--root", str(self.root), "--cache", str(self.cache)]
        command += ["--jettison", f"{shlex.quote(sys.executable)} -m jettison", *references]
        if subprocess.run(command, check=False, cwd=HERE).returncode:
            raise DemoError("a stand-in could not be made")

    def build(self, stack: Stack, kind: str) -> Built:
        tag = f"demo/{Path(stack.context).name}:{kind}"
        dockerfile = f"{stack.context}/Dockerfile" + (".naive" if kind == "naive" else "")
        words = ["build", "-t", tag, "-f", dockerfile, stack.context]
        started = time.monotonic()
        ran = self.count_ran(words)
        first = time.monotonic() - started
        self.jettison("build", "-q", *words[1:], capture=True)
        started = time.monotonic()
        self.jettison("build", "-q", *words[1:], capture=True)
        unchanged = time.monotonic() - started
        size = json.loads(self.jettison("inspect", tag, capture=True))[0]["Size"]
        page = self.fetch(tag, stack)
        return Built(size_bytes=size, first_seconds=first, ran=ran, unchanged_seconds=unchanged, page=page)

    def count_ran(self, words: list[str]) -> int:
        """Build, showing progress, and return how many steps ran."""
        say(f"    $ jettison {shlex.join(words)}")
        process = subprocess.Popen(
            [*self.command, words[0], "--progress", "rawjson", *words[1:]], stderr=subprocess.PIPE, text=True, cwd=HERE
        )
        assert process.stderr is not None
        ran = 0
        rest = []
        for line in process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                rest.append(line)
                continue
            if event["event"] == "OpStarted":
                say(f"      {event['name']}")
            elif event["event"] == "OpFinished":
                ran += event["reason"] == "ran"
                done = f"{event['seconds']:.1f} s" if event["reason"] == "ran" else "CACHED"
                say(f"      {event['name']}: {done}")
        if process.wait():
            raise DemoError("the build failed:\n" + "".join(rest))
        return ran

    def fetch(self, tag: str, stack: Stack) -> str:
        """Start the image, wait for its page, check the text; return what was found."""
        port = free_port()
        command = [*self.command, "run", "--rm", "-p", f"{port}:{port}", "-e", f"PORT={port}", tag]
        say(
            f"    $ jettison {shlex.join(command[len(self.command) :])}   (then fetch http://127.0.0.1:{port}{stack.path})"
        )
        log = self.logs / f"{tag.replace('/', '-').replace(':', '-')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=HERE)
            try:
                body = wait_for_page(f"http://127.0.0.1:{port}{stack.path}", process)
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if body is None:
            raise DemoError(
                f"{tag} served no page within {START_SECONDS:.0f} s:\n{log.read_text(errors='replace')[-2000:]}"
            )
        if stack.text not in body:
            raise DemoError(f"the page of {tag} does not hold {stack.text!r}:\n{body[:2000]}")
        say(f"      page of {len(body)} bytes, holds {stack.text!r}")
        return stack.text


def wait_for_page(url: str, process: subprocess.Popen[bytes]) -> str | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with opener.open(url, timeout=5) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            return error.read().decode("utf-8", "replace")
        except OSError:
            time.sleep(0.1)
    return None


def hub_answers() -> bool:
    """Ask Docker Hub once, for two seconds at most; never in continuous integration."""
    if os.environ.get("CI") or os.environ.get("JETTISON_DEMO_BASES") == "stand-ins":
        return False
    try:
        with socket.create_connection(HUB, HUB_SECONDS):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def table(rows: list[tuple[Stack, Built, Built]]) -> str:
    head = ("stack", "naive MB", "lean MB", "ratio", "seconds cold", "seconds unchanged")
    lines = [head]
    for stack, naive, lean in rows:
        cold = tuple(f"{built.first_seconds:.1f}" if built.ran else "cached" for built in (naive, lean))
        lines.append(
            (
                stack.name,
                f"{naive.size_bytes / 1e6:.1f}",
                f"{lean.size_bytes / 1e6:.1f}",
                f"{naive.size_bytes / lean.size_bytes:.1f}x",
                f"{cold[0]} / {cold[1]}",
                f"{naive.unchanged_seconds:.2f} / {lean.unchanged_seconds:.2f}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(shown)


def three_targets(demo: Demo) -> None:
    say("==> one Dockerfile, three targets")
    dockerfile = HERE / "examples/three-targets/Dockerfile"
    targets = [line.split()[3] for line in dockerfile.read_text().splitlines() if line.upper().startswith("FROM ")]
    for target in targets:
        demo.jettison("build", "-q", "--target", target, "-t", f"demo/{target}", str(dockerfile.parent), capture=True)
        say(f"      {demo.jettison('run', '--rm', f'demo/{target}', capture=True).strip()}")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--root", type=Path, default=HERE / ".demo" / "root", help="state of the demo (default: .demo/root)"
    )
    parser.add_argument("--cache", type=Path, default=HERE / ".demo" / "cache", help="downloads for stand-ins")
    arguments = parser.parse_args()
    demo = Demo(arguments.root.absolute(), arguments.cache.absolute())
    started = time.monotonic()
    rows = []
    try:
        demo.make_bases(BASES)
        three_targets(demo)
        for stack in STACKS:
            say(f"==> {stack.name}: naive, one stage")
            naive = demo.build(stack, "naive")
            say(f"==> {stack.name}: lean, multi-stage")
            lean = demo.build(stack, "lean")
            rows.append((stack, naive, lean))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say(f"\n{table(rows)}\n")
    say("seconds: naive / lean; cold: base images there, nothing else; unchanged: the whole command.")
    say("Every page was fetched from a running container and matched.")
    say(f"whole demo: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
