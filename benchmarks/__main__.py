"""Runs the rows, interleaved, and prints one table: medians, ratio to each rival, peak memory.

All numbers are of this run on this machine. Each case gets inputs of its own; before every run the tool's store is brought
to the same beginning, which is not measured. The order of the tools changes from run to run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cases import CASES, FULL, QUICK, Bench, Case, Scale
from benchmarks.inputs import make_base
from benchmarks.tools import CommandError, Jettison, Sample, Tool, measure, open_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, list[Sample]]


def main(argv: Sequence[str]) -> int:
    args = parse(argv)
    scale = QUICK if args.quick else FULL
    scale = replace(scale, repeats=args.repeats or scale.repeats)
    chosen = [case for case in CASES if not args.case or case.name in args.case]
    directory = Path(tempfile.mkdtemp(prefix="jettison-bench-", dir=args.directory))
    try:
        base = make_base_archive(directory)
        tools = open_tools(directory / "stores")
        if args.only_us:
            tools = tools[:1]
        say_what(tools, scale, args.quick)
        rows: dict[str, Row] = {}
        for case in chosen:
            rows[case.name] = run_case(case, tools, Bench(directory=directory / case.name, scale=scale, base=base))
            print(table_line(case.name, rows[case.name], tools), flush=True)
        if args.json:
            Path(args.json).write_text(json.dumps(as_json(rows), indent=2) + "\n")
    except FileNotFoundError as error:
        print(f"benchmarks need {error}: install busybox-static", file=sys.stderr)
        return 3
    finally:
        for tool in open_tools(directory / "stores"):
            tool.forget()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    rows = "\n".join(f"  {case.name:18}{case.about}" for case in CASES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"rows (the numbers are those without --quick):\n{rows}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", nargs="*", help="rows to run (default: all)")
    parser.add_argument("--quick", action="store_true", help="small inputs: to see that all runs, not to compare")
    parser.add_argument("--repeats", type=int, metavar="N", help="runs of each row")
    parser.add_argument("--only-us", action="store_true", help="leave the rivals out")
    parser.add_argument("--json", metavar="FILE", help="write every sample")
    parser.add_argument("--directory", metavar="DIR", help="where to work (default: the temporary directory)")
    args = parser.parse_args(argv)
    unknown = set(args.case) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no row is named {', '.join(sorted(unknown))}")
    return args


def make_base_archive(directory: Path) -> Path:
    """Make the base image and return its OCI archive."""
    rootfs, archive = directory / "rootfs.tar", directory / "base.oci.tar"
    make_base(rootfs)
    maker = Jettison(directory / "maker")
    maker.import_base(rootfs, archive)
    maker.forget()
    return archive


def run_case(case: Case, tools: list[Tool], bench: Bench) -> Row:
    """Return the samples of each tool; a tool that fails at the case has none."""
    context = case.prepare(replace(bench, directory=bench.directory / "context"))
    row: Row = {tool.name: [] for tool in tools}
    failed: set[str] = set()
    for tool in tools:
        tool.forget()
        tool.load_base(bench.base)
    for turn in range(bench.scale.repeats):
        for tool in tools[turn % len(tools) :] + tools[: turn % len(tools)]:
            if tool.name in failed:
                continue
            try:
                case.before(bench, tool, context)
                row[tool.name].append(measure(tool, case.commands(bench, tool, context)))
            except CommandError as error:
                failed.add(tool.name)
                row[tool.name] = []
                print(f"{tool.name} failed at {case.name}:\n{error}", file=sys.stderr)
    shutil.rmtree(bench.directory, ignore_errors=True)
    return row


def say_what(tools: list[Tool], scale: Scale, is_quick: bool) -> None:  # noqa: FBT001
    versions = ", ".join(f"{tool.name} {tool.version()}" for tool in tools)
    print(f"{versions}; Linux {platform.release()}, {os.cpu_count()} processors, {_memory_gib():.0f} GiB")
    print(f"{scale.repeats} runs each, medians" + ("; QUICK: small inputs, ratios mean little" if is_quick else ""))
    columns = "".join(f"{tool.name + ' s':>13}" for tool in tools)
    ratios = "".join(f"{'x ' + tool.name:>12}" for tool in tools[1:])
    peaks = "".join(f"{tool.name + ' MiB':>14}" for tool in tools)
    print(f"{'row':18}{columns}{ratios}{peaks}")


def table_line(name: str, row: Row, tools: list[Tool]) -> str:
    seconds = {tool: median(sample.seconds for sample in samples) for tool, samples in row.items() if samples}
    peaks = {tool: max(sample.peak_mib for sample in samples) for tool, samples in row.items() if samples}
    ours = seconds.get(tools[0].name)
    line = f"{name:18}" + "".join(_cell(seconds.get(tool.name), 13, 3) for tool in tools)
    for tool in tools[1:]:
        theirs = seconds.get(tool.name)
        line += _cell(ours / theirs if ours is not None and theirs else None, 12, 3)
    return line + "".join(_cell(peaks.get(tool.name), 14, 0) for tool in tools)


def as_json(rows: dict[str, Row]) -> dict[str, dict[str, list[dict[str, float]]]]:
    return {
        name: {
            tool: [{"seconds": sample.seconds, "peak_mib": sample.peak_mib} for sample in samples]
            for tool, samples in row.items()
        }
        for name, row in rows.items()
    }


def _cell(value: float | None, width: int, places: int) -> str:
    return f"{'-' if value is None else format(value, f'.{places}f'):>{width}}"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
