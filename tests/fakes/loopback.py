"""Registries on 127.0.0.1: Debian's ``docker-registry``, and a small server of ours that can misbehave."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.fakes.registry import FakeRegistry

from jettison.registry.message import Request

# what htpasswd -B writes for ann with the password hush
HTPASSWD = "ann:$2b$05$abcdefghijklmnopqrstuulzd.YqjLDl8lvpSmVj3De/fioSBHnUa"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def docker_registry(place, *, htpasswd=""):
    """Run ``docker-registry`` with its files below ``place``; yield its host and port."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    port = free_port()
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: {place}/data}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '127.0.0.1:{port}'}}",
        "log: {level: error}",
    ]
    if htpasswd:
        (place / "htpasswd").write_text(htpasswd + "\n")
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {place}/htpasswd}}}}")
    (place / "config.yml").write_text("\n".join(lines) + "\n")
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(place / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def push(source, host, name, *options):
    """Copy an image into a registry with skopeo."""
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed")
    command = [
        skopeo,
        "--insecure-policy",
        "copy",
        "-q",
        "--dest-tls-verify=false",
        *options,
        source,
        f"docker://{host}/{name}",
    ]
    subprocess.run(command, check=True, capture_output=True)


class LoopbackRegistry(FakeRegistry):
    """A ``FakeRegistry`` behind HTTP. Answers that break off close their connection."""

    host = ""


@contextmanager
def loopback_registry(context=None):
    """Run a server in threads of this process; yield the registry, whose ``host`` is where it listens."""
    registry = LoopbackRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            scheme = "https" if context else "http"
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = Request(
                method=self.command,
                url=f"{scheme}://{registry.host}{self.path}",
                headers=tuple(self.headers.items()),
                authorization=self.headers.get("authorization", ""),
                body=body,
            )
            reply = registry.send(request)
            data = reply._body
            self.send_response(reply.status)
            for name, value in reply._headers.items():
                self.send_header(name, value)
            if "content-length" not in reply._headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            end = len(data) if reply._breaks_at is None else reply._breaks_at
            with suppress(ConnectionError):
                self.wfile.write(data[:end])
                self.wfile.flush()
            if end < len(data):
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

        do_POST = do_GET  # noqa: N815  the name that http.server calls

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # a client that went away, or one that spoke another protocol

        def get_request(self):
            connection, address = super().get_request()
            if context:
                connection.settimeout(5)
                connection = context.wrap_socket(connection, server_side=True)
            return connection, address

    server = Server(("127.0.0.1", 0), Handler)
    registry.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _wait(port, process):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, "docker-registry ended at once"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("docker-registry does not listen")
