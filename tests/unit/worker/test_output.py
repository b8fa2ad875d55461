"""Logs of steps: whole on disk, secrets masked however they arrive, the last lines kept."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from jettison.worker.output import Masker, StepLog, pump

if TYPE_CHECKING:
    from pathlib import Path


def test_log_keeps_everything_and_the_tail_the_last_lines(tmp_path: Path) -> None:
    with StepLog(tmp_path / "a" / "1.log", 2) as log:
        log.write(b"one\ntwo\nthr")
        log.write(b"ee\nfour without end")
        assert log.tail() == ("three", "four without end")
    assert (tmp_path / "a" / "1.log").read_bytes() == b"one\ntwo\nthree\nfour without end"
    assert (tmp_path / "a" / "1.log").stat().st_mode & 0o777 == 0o600


@given(st.binary(min_size=4, max_size=20), st.binary(max_size=40), st.binary(max_size=40), st.data())
def test_a_secret_is_masked_wherever_the_pieces_are_cut(
    secret: bytes, before: bytes, after: bytes, data: st.DataObject
) -> None:
    whole = before + secret + after
    masker = Masker((secret,))
    shown = b""
    position = 0
    while position < len(whole):
        step = data.draw(st.integers(1, 7))
        shown += masker.feed(whole[position : position + step])
        position += step
    shown += masker.finish()
    assert secret not in shown or secret in b"****"
    assert b"****" in shown


def test_short_secrets_do_not_turn_every_letter_into_stars() -> None:
    masker = Masker((b"ab",))
    assert masker.feed(b"cab") + masker.finish() == b"cab"


def test_pump_reads_both_streams_to_their_end_and_closes_them() -> None:
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    seen: list[tuple[str, bytes]] = []
    thread = threading.Thread(
        target=pump, args=(out_read, err_read, (b"hunter2",), lambda name, piece: seen.append((name, piece)))
    )
    thread.start()
    os.write(out_write, b"password hunter2!\n")
    os.write(err_write, b"warning\n")
    os.close(out_write)
    os.close(err_write)
    thread.join()
    assert b"".join(piece for name, piece in seen if name == "stdout") == b"password ****!\n"
    assert b"".join(piece for name, piece in seen if name == "stderr") == b"warning\n"
