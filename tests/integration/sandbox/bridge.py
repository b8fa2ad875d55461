"""A front and a worker for the tests: takes pickled requests on standard input, has them done by a worker, answers.

``bridge.py front <source> <base> <mode>`` starts ``bridge.py worker ...`` through ``start_worker`` and passes messages on.
It runs under any Python 3.11+ with the standard library only, as any user.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback


def read_message(read):
    head = read(4)
    if len(head) < 4:
        return None
    (size,) = struct.unpack(">I", head)
    data = b""
    while len(data) < size:
        data += read(size - len(data))
    return pickle.loads(data)


def write_message(write, message):
    data = pickle.dumps(message)
    write(struct.pack(">I", len(data)) + data)


def front(source, base, mode):
    from jettison.sandbox.userns import start_worker

    command = [sys.executable, "-S", os.path.abspath(__file__), "worker", source, base, mode]
    env = {"SECRET_OF_THE_CALLER": "canary", "LC_ALL": "C.UTF-8"}
    kept = [] if mode == "single" else [pathlib.Path(base)]
    with start_worker(command, id_mode=mode, env=env, kept=kept) as worker:
        stream = worker.socket.makefile("rwb", buffering=0)
        while (request := read_message(sys.stdin.buffer.read)) is not None:
            if request["op"] == "worker-pid":
                answer = worker.pid
            elif request["op"] == "kill-worker":
                worker.kill()
                answer = worker.wait(10)
            else:
                write_message(stream.write, request)
                answer = read_message(stream.read)
            write_message(sys.stdout.buffer.write, answer)
            sys.stdout.buffer.flush()


class Worker:
    def __init__(self, base, mode, zygote_fd):
        from jettison.sandbox.launch import Launcher

        self.base = base
        self.mode = mode
        self.launcher = Launcher(zygote_fd)
        self.held = []
        self.make_image("plain")
        self.empties = []
        for number in range(199):
            path = f"{base}/empty/{number}"
            os.makedirs(f"{path}/opt/{number}")
            self.empties.append(path)

    def make_image(self, name, links=(), files=(), without=()):
        root = f"{self.base}/images/{name}"
        os.makedirs(f"{root}/bin")
        shutil.copy("/bin/busybox", f"{root}/bin/busybox")
        for tool in [
            "sh",
            "ls",
            "cat",
            "true",
            "touch",
            "mknod",
            "sleep",
            "ps",
            "env",
            "stty",
            "id",
            "grep",
            "sort",
            "kill",
            "readlink",
            "head",
            "wc",
            "setsid",
        ]:
            os.symlink("busybox", f"{root}/bin/{tool}")
        for directory in ["proc", "sys", "dev", "etc", "tmp"]:
            if directory not in without:
                os.mkdir(f"{root}/{directory}")
        os.chmod(root, 0o755)
        for path, text in links:
            os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
            os.symlink(text, f"{root}/{path}")
        for path, data, file_mode in files:
            os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
            with open(f"{root}/{path}", "wb") as file:
                file.write(data)
            os.chmod(f"{root}/{path}", file_mode)
        return root

    def spec(self, args, image="plain", lowers=1, *, is_plain=False, mounts=(), **fields):
        from jettison.sandbox.spec import MountSpec, SandboxSpec

        place = tempfile.mkdtemp(dir=self.base)
        os.mkdir(f"{place}/u")
        os.chmod(f"{place}/u", 0o755)
        os.mkdir(f"{place}/w")
        root = f"{self.base}/images/{image}"
        if is_plain:
            shutil.copytree(root, f"{place}/r", symlinks=True)
            where = {"root": f"{place}/r", "work": f"{place}/w"}
        else:
            where = {"lowers": (*self.empties[: lowers - 1], root), "upper": f"{place}/u", "work": f"{place}/w"}
        fields.setdefault("env", (("PATH", "/bin"),))
        mounts = tuple(MountSpec(**mount) for mount in mounts)
        return SandboxSpec(args=tuple(args), id_mode=self.mode, mounts=mounts, **where, **fields)

    def run(self, script=None, args=None, kill_after=None, signals=(), **fields):
        """Run to the end and return everything there is to know."""
        spec = self.spec(args or ["/bin/sh", "-c", script], **fields)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with self.launcher.start(spec, stdout_fd=writer, stderr_fd=writer) as running:
            os.close(writer)
            if kill_after is not None:
                read_until(reader, kill_after)
                running.kill()
            for marker, number in signals:
                read_until(reader, marker)
                running.signal(number)
            output = read_all(reader)
            status = running.wait()
        os.close(reader)
        upper = spec.upper or spec.root
        kept = sorted(
            os.path.relpath(os.path.join(place, name), upper)
            for place, names, files in os.walk(upper)
            for name in names + files
        )
        return {
            "code": status.code,
            "signal": status.signal,
            "is_oom": status.is_oom,
            "reason": status.reason,
            "output": output.decode("utf-8", "replace"),
            "stubs": running.stubs,
            "upper": kept,
        }

    def run_as_on_an_old_kernel(self, **fields):
        """Run with the ways of making mounts that kernels before 5.12 and 6.8 have."""
        from jettison.sandbox.spec import KernelFacts

        known, self.launcher._facts = (
            self.launcher.facts,
            KernelFacts(has_lowerdir_append=False, has_mount_setattr=False),
        )
        try:
            return self.run(**fields)
        finally:
            self.launcher._facts = known

    def many(self, count):
        results = []

        def one(number):
            results.append((number, self.run(f"echo {number}; sleep 0.05; exit {number}")))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [
            (number, result["code"], result["output"]) for number, result in sorted(results, key=lambda pair: pair[0])
        ]

    def hold(self, marker):
        """Start a step that goes on, with children that refuse to die, and leave it running."""
        script = f"trap '' TERM HUP INT; setsid sh -c \"trap '' TERM HUP; sleep {marker}\" & setsid sleep {marker} & echo go; sleep {marker}"
        reader, writer = os.pipe2(os.O_CLOEXEC)
        running = self.launcher.start(self.spec(["/bin/sh", "-c", script]), stdout_fd=writer)
        os.close(writer)
        read_until(reader, b"go")
        self.held.append((running, reader))
        return running.pid

    def drop(self):
        running, reader = self.held.pop()
        running.close()
        os.close(reader)
        return True

    def terminal(self):
        import jettison.sandbox.launch  # noqa: F401

        script = "stty size; test -t 0 && test -t 1 && echo is-a-tty; echo console > /dev/console; ls /dev/pts; read line; echo got $line; stty size; exit 5"
        spec = self.spec(["/bin/sh", "-c", script], has_terminal=True, terminal_rows=30, terminal_columns=90)
        with self.launcher.start(spec) as running:
            output = read_until(running.terminal_fd, b"ptmx")
            running.resize(40, 100)
            os.write(running.terminal_fd, b"hello\n")
            output += read_all(running.terminal_fd)
            return running.wait().code, output.decode()

    def swap(self, count):
        """Run steps that bind a directory while another thread swaps it with links that lead out."""
        tree = tempfile.mkdtemp(dir=self.base)
        os.makedirs(f"{tree}/a/b/c")
        stop = threading.Event()

        def swapper():
            while not stop.is_set():
                os.rename(f"{tree}/a/b", f"{tree}/x")
                os.symlink("../../../../../../..", f"{tree}/a/b")
                os.unlink(f"{tree}/a/b")
                os.symlink("/", f"{tree}/a/b")
                os.unlink(f"{tree}/a/b")
                os.rename(f"{tree}/x", f"{tree}/a/b")

        thread = threading.Thread(target=swapper)
        thread.start()
        from jettison.errors import SandboxError

        seen = []
        for _ in range(count):
            mount = {"kind": "bind", "source": "a/b", "source_root": tree, "target": "/mnt"}
            try:
                seen.append(self.run("ls /mnt", mounts=[mount])["output"])
            except SandboxError as error:
                seen.append(error.slug)
        stop.set()
        thread.join()
        return seen

    def timeout(self):
        with self.launcher.start(self.spec(["/bin/sleep", "60"])) as running:
            return running.wait(0.05) is None

    def speed(self, count):
        times = []
        for _ in range(count):
            spec = self.spec(["/bin/true"], lowers=9)
            began = time.perf_counter()
            with self.launcher.start(spec) as running:
                running.wait()
            times.append(time.perf_counter() - began)
        return sorted(times)


def read_until(descriptor, marker):
    data = b""
    while marker not in data:
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        data += piece
    return data


def read_all(descriptor):
    data = b""
    try:
        while piece := os.read(descriptor, 65536):
            data += piece
    except OSError:  # EIO: the last descriptor of the terminal was closed
        pass
    return data


def worker(base, mode, control_fd, zygote_fd):
    import socket

    stream = socket.socket(fileno=control_fd).makefile("rwb", buffering=0)
    served = Worker(base, mode, zygote_fd)
    while (request := read_message(stream.read)) is not None:
        name = request.pop("op")
        try:
            answer = getattr(served, name)(**request)
        except Exception as error:
            answer = {
                "error": getattr(error, "slug", "bug"),
                "message": str(error),
                "hint": getattr(error, "hint", ""),
                "trace": traceback.format_exc(),
            }
        write_message(stream.write, answer)
    shutil.rmtree(f"{base}/images", ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    role, source, base, mode, *rest = sys.argv[1:]
    sys.path.insert(0, source)
    sys.dont_write_bytecode = True
    if role == "front":
        front(source, base, mode)
    else:
        numbers = dict(zip(rest[::2], rest[1::2], strict=True))
        worker(base, mode, int(numbers["--control-fd"]), int(numbers["--zygote-fd"]))
