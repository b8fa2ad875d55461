"""Messages and descriptors over the socket between a front and its worker."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from jettison.errors import StepError
from jettison.worker.channel import Channel, Control, Note, Reply, Request
from jettison.worker.client import WorkerClient


def pair() -> tuple[Channel, Channel]:
    left, right = socket.socketpair()
    return Channel(left), Channel(right)


def test_messages_and_descriptors_arrive_in_order() -> None:
    left, right = pair()
    reading, writing = os.pipe()
    left.send(Request(number=1, method="x", payload=5), (writing,))
    left.send(Control(number=1, action="kill"))
    message, fds = right.receive() or pytest.fail("nothing came")
    assert message == Request(number=1, method="x", payload=5)
    os.write(fds[0], b"through")
    assert os.read(reading, 10) == b"through"
    assert right.receive() == (Control(number=1, action="kill"), ())
    for fd in (reading, writing, *fds):
        os.close(fd)
    left.close()
    assert right.receive() is None
    right.close()


def test_large_messages_pass() -> None:
    left, right = pair()
    data = os.urandom(3_000_000)
    thread = threading.Thread(target=left.send, args=(Note(number=1, payload=data),))
    thread.start()
    assert right.receive() == (Note(number=1, payload=data), ())
    thread.join()
    left.close()
    right.close()


class FakeProcess:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.is_closed = False

    def close(self) -> None:
        self.socket.close()
        self.is_closed = True


def serving(answers: list[Note | Reply]) -> tuple[WorkerClient, FakeProcess, threading.Thread]:
    """Return a client of a worker that answers its first request so, then hangs up."""
    ours, theirs = socket.socketpair()
    process = FakeProcess(ours)
    assert process.socket is ours

    def serve() -> None:
        channel = Channel(theirs)
        channel.receive()
        for answer in answers:
            channel.send(answer)
        channel.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return WorkerClient(lambda: process), process, thread  # type: ignore[arg-type,return-value]  # a stand-in


def test_call_hands_notes_on_and_returns_the_value() -> None:
    client, process, thread = serving([Note(number=1, payload="half"), Reply(number=1, value="whole")])
    notes: list[object] = []
    assert client.call("work", None, listener=lambda payload, fds: notes.append(payload)) == "whole"
    assert notes == ["half"]
    thread.join()
    client.close()
    assert process.is_closed


def test_errors_of_the_worker_keep_what_they_say() -> None:
    error = StepError("it failed", exit_code=7, tail=("last",), log_path="/l", hint="mend it")
    client, _, thread = serving([Reply(number=1, error=error)])
    with pytest.raises(StepError) as caught:
        client.call("work", None)
    assert (caught.value.exit_code, caught.value.tail, caught.value.hint) == (7, ("last",), "mend it")
    thread.join()
    client.close()


def test_a_worker_that_dies_is_an_error_not_a_wait() -> None:
    client, _, thread = serving([])
    with pytest.raises(Exception, match="worker process ended") as caught:
        client.call("work", None)
    assert getattr(caught.value, "slug", "") == "worker-died"
    thread.join()
    client.close()


def test_a_client_that_was_never_needed_starts_nothing() -> None:
    client = WorkerClient(lambda: pytest.fail("no worker was needed"))
    client.cancel_all()
    client.close()
    assert not client.is_started
