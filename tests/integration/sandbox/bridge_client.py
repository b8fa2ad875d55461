"""The tests' end of ``bridge.py``."""

from __future__ import annotations

import shutil
import subprocess

from tests.integration.sandbox.bridge import read_message, write_message


class Bridge:
    def __init__(self, command, base, mode, ids):
        self.base = base
        self.mode = mode
        self.uid, self.gid = ids
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")

    def ask(self, op, **fields):
        write_message(self.process.stdin.write, {"op": op, **fields})
        self.process.stdin.flush()
        answer = read_message(self.process.stdout.read)
        if isinstance(answer, dict) and answer.get("error") == "bug":
            raise AssertionError(answer["trace"])
        return answer

    def run(self, script=None, **fields):
        return self.ask("run", script=script, **fields)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        shutil.rmtree(self.base, ignore_errors=True)
