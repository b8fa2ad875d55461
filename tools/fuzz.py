"""Mutation fuzzing of everything that reads foreign bytes: `python tools/fuzz.py --seconds 60`.

Only ``JettisonError`` and the errors that a reader documents may come out; anything else, an input that takes more than five
seconds of processor time, one that never ends, or one that needs too much memory is a finding. It is written to .fuzz/ and
the exit status is 1. A run is reproducible by its seed and number of jobs, as far as it gets in its time: every worker draws
its inputs from its own generator, one after the other. Inputs with a new outcome (error, shape of the result) are mutated
further.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from fuzz_mutator import SIZE_MAX, Mutator
from fuzz_targets import HERE, Target, all_targets, describe

from jettison.errors import JettisonError

if TYPE_CHECKING:
    from types import FrameType

INPUT_SECONDS = 5.0
"""Of processor time: a busy machine must not make findings."""
KILL_SECONDS = 60.0
"""By the clock: for what waits forever, and for C code that sees no signal."""
MEMORY_BYTES = 1 << 30
"""Above what the process needs to start: a zstd window or an xz dictionary may take 128 MiB, a small tar nothing like it."""
CORPUS_MAX = 400
OUTCOME_CHARS = 100
_VARYING = re.compile(r"'.*'|\".*\"|\d+|\([^)]*\)", re.DOTALL)


class HangError(BaseException):
    """An input took too long; no code under test catches it."""


@dataclass
class Corpus:
    """The inputs of one target in one worker."""

    target: Target
    random: Random
    mutator: Mutator
    inputs: list[bytes]
    outcomes: set[str] = field(default_factory=set)
    count: int = 0
    spent: float = 0.0

    def next(self) -> bytes:
        """Return the next input: first the seeds as they are."""
        self.count += 1
        if self.count <= len(self.target.seeds):
            return self.inputs[self.count - 1]
        return self.mutator.mutate(self.random.choice(self.inputs), self.random.choice(self.inputs))

    def keep(self, data: bytes, outcome: str) -> None:
        """Remember an input that did what none did before."""
        if outcome not in self.outcomes and len(self.inputs) < CORPUS_MAX:
            self.inputs.append(data)
        self.outcomes.add(outcome)


class Slate:
    """Shared memory in which a worker writes what it is about to try, so that its death can be explained."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE_MAX + 4096)

    def write(self, name: str, data: bytes) -> None:
        head = b"%b %d %d\n" % (name.encode(), len(data), time.monotonic_ns())
        self._memory[: len(head) + len(data)] = head + data

    def read(self) -> tuple[str, bytes, float] | None:
        """Return target, input, and since when it is tried; None before the first."""
        head, line_end, _ = bytes(self._memory[:200]).partition(b"\n")
        if not line_end or not head.strip(b"\0"):
            return None
        name, size, since = head.split(b" ")
        data = bytes(self._memory[len(head) + 1 : len(head) + 1 + int(size)])
        return name.decode(), data, int(since) / 1e9


def run_one(target: Target, data: bytes, place: Path) -> tuple[str, str | None]:
    """Return the outcome of one input, and the finding if it is one."""
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    signal.setitimer(signal.ITIMER_PROF, INPUT_SECONDS)
    try:
        outcome = "ok " + target.run(data, place)
    except JettisonError as error:
        outcome = f"{error.slug} {_VARYING.sub('_', error.message)}"[:OUTCOME_CHARS]
    except HangError:
        return "hang", f"took more than {INPUT_SECONDS:.0f} seconds\n{traceback.format_exc()}"
    except Exception as error:  # noqa: BLE001 - whatever comes out is judged
        if type(error) not in target.expected:
            return "finding", traceback.format_exc()
        outcome = f"{type(error).__name__} {_VARYING.sub('_', str(error))}"[:OUTCOME_CHARS]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return outcome, None


def _raise_hang(_number: int, _frame: FrameType | None) -> None:
    raise HangError


def prepare_process() -> None:
    """Bound the memory of this process and let the alarm raise."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _raise_hang)


def work(number: int, options: argparse.Namespace, slate: Slate, place: Path) -> int:
    """Try inputs until the time is over; return 1 after a finding. This runs in a process of its own."""
    prepare_process()
    corpora = []
    for target in options.targets:
        random = Random(f"{options.seed}/{number}/{target.name}")
        corpora.append(Corpus(target, random, Mutator(random, target.words, target.shape), list(target.seeds)))
    deadline = time.monotonic() + options.seconds
    findings = 0
    known: set[str] = set()
    while (began := time.monotonic()) < deadline:
        corpus = min(corpora, key=lambda each: each.spent / each.target.weight)
        data = corpus.next()
        slate.write(corpus.target.name, data)
        outcome, finding = run_one(corpus.target, data, place)
        corpus.spent += time.monotonic() - began
        if finding is None:
            corpus.keep(data, outcome)
            continue
        signature = corpus.target.name + "".join(re.findall(r'File "[^"]*", line \d+', finding)[-2:])
        if signature not in known:
            known.add(signature)
            findings += 1
            report(corpus.target.name, data, finding)
        if not options.keep_going:
            return 1
    rows = (f"{corpus.target.name} {corpus.count}/{len(corpus.outcomes)}" for corpus in corpora)
    print(f"worker {number}: inputs/outcomes: {', '.join(rows)}", flush=True)
    return 1 if findings else 0


def report(name: str, data: bytes, finding: str) -> None:
    """Write a finding to .fuzz/ and say so."""
    directory = HERE / ".fuzz"
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-{hash_of(data)}"
    path.write_bytes(data)
    shown = f"input ({len(data)} bytes): {describe(data)}"
    message = f"FINDING in {name}: {finding}{shown}\nwritten to {path}; again with: --replay {path}\n"
    path.with_name(path.name + ".txt").write_text(message, encoding="utf-8", errors="backslashreplace")
    print(message, flush=True)


def hash_of(data: bytes) -> str:
    """Return a short name for an input."""
    import hashlib

    return hashlib.sha256(data).hexdigest()[:12]


def watch(options: argparse.Namespace, scratch: Path) -> int:
    """Run the workers and return the exit status."""
    running: dict[int, Slate] = {}
    for number in range(options.jobs):
        slate = Slate()
        pid = os.fork()
        if pid == 0:
            status = 2
            try:
                status = work(number, options, slate, scratch / str(number))
            except BaseException:  # noqa: BLE001 - the process must not run on as a second parent
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        running[pid] = slate
    status = 0
    try:
        while running:
            pid, result = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                time.sleep(0.1)
                for late, slate in running.items():
                    entry = slate.read()
                    if entry is not None and time.monotonic() - entry[2] > KILL_SECONDS:
                        os.kill(late, signal.SIGKILL)
                continue
            slate = running.pop(pid)
            code = os.waitstatus_to_exitcode(result)
            entry = slate.read()
            if code < 0 and entry is not None:
                report(
                    entry[0],
                    entry[1],
                    f"the worker was killed by signal {-code} (a crash, or no answer for {KILL_SECONDS:.0f} s)\n",
                )
            status = max(status, min(abs(code), 1))
    finally:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return status


def replay(path: Path, targets: tuple[Target, ...], scratch: Path) -> int:
    """Try the input of a finding again."""
    name = path.name.rpartition("-")[0]
    target = next((each for each in targets if each.name == name), None)
    if target is None:
        print(f"'{path.name}' names no target", file=sys.stderr)
        return 2
    prepare_process()
    outcome, finding = run_one(target, path.read_bytes(), scratch / "replay")
    print(finding or outcome)
    return 1 if finding else 0


def main() -> int:
    known = all_targets()
    parser = argparse.ArgumentParser(description="Mutation fuzzing of the readers of foreign bytes.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, help="draw the same inputs as the run that printed this seed")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (2)")
    parser.add_argument(
        "--target", action="append", choices=[each.name for each in known], help="only this reader; may be given again"
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a finding")
    parser.add_argument("--replay", type=Path, help="try the input of a finding again")
    options = parser.parse_args()
    options.targets = [each for each in known if not options.target or each.name in options.target]
    with tempfile.TemporaryDirectory(prefix="jettison-fuzz-") as scratch:
        if options.replay:
            return replay(options.replay, known, Path(scratch))
        if options.seed is None:
            options.seed = SystemRandom().randrange(1 << 32)
        print(
            f"fuzzing {len(options.targets)} readers for {options.seconds:g} s, --seed {options.seed} --jobs {options.jobs}",
            flush=True,
        )
        status = watch(options, Path(scratch))
    print("no findings" if status == 0 else "there are findings: see above", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
