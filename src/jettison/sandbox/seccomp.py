"""The filter on the system calls of a step: a table of what is allowed -> a BPF program.

Equal in effect to docker's default profile for its default capabilities: what is not allowed fails with EPERM, ``clone3``
and calls newer than the table with ENOSYS (so that C libraries fall back), new namespaces by ``clone`` are refused, as are
``AF_VSOCK`` sockets and unusual personalities. 32-bit programs have a table of their own on x86-64; other foreign
architectures, and the x32 variant, are refused. Pure. Source: seccomp(2), linux/bpf_common.h.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from jettison.sandbox.syscalls import ALLOWED, ARCHITECTURES

_LOAD, _JUMP, _JUMP_EQUAL, _JUMP_NOT_LESS, _JUMP_ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _KILL, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_AUDIT_ARCH = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7}
_ACCEPTED = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64",)}
_X32_BIT = 0x40000000
_NAMESPACE_FLAGS = 0x7E020000
_AF_VSOCK = 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

_Code = tuple[int, int, int, int]  # operation, jump if true, jump if false, value


@lru_cache(maxsize=4)
def build_filter(machine: str) -> bytes:
    """Return the program for a machine (``uname -m``), empty for one that has no table."""
    accepted = _ACCEPTED.get(machine, ())
    if not accepted:
        return b""
    code: list[_Code] = [(_LOAD, 0, 0, _ARCH_AT)]
    for name in accepted:
        body = _body(name)
        code += [(_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[name]), (_JUMP, 0, 0, len(body)), *body]
    code.append((_RETURN, 0, 0, _KILL))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def allowed_numbers(architecture: str) -> dict[str, int]:
    """Return name -> number of the calls that are allowed, some only with certain arguments."""
    column = ARCHITECTURES.index(architecture)
    numbers = {}
    for word in ALLOWED.split():
        name, _colon, columns = word.partition(":")
        number = columns.split("/")[column]
        if number != "-":
            numbers[name] = int(number)
    return numbers


def _body(architecture: str) -> list[_Code]:
    numbers = allowed_numbers(architecture)
    verdicts = {number: _verdict(name) for name, number in numbers.items()}
    segments: list[tuple[int, tuple[_Code, ...]]] = []
    for number in range(max(verdicts) + 1):
        verdict = verdicts.get(number, ((_RETURN, 0, 0, _REFUSE),))
        if not segments or segments[-1][1] != verdict:
            segments.append((number, verdict))
    segments.append((max(verdicts) + 1, ((_RETURN, 0, 0, _UNKNOWN),)))
    code: list[_Code] = [(_LOAD, 0, 0, _NUMBER_AT)]
    if architecture == "x86_64":
        code += [(_JUMP_NOT_LESS, 0, 1, _X32_BIT), (_RETURN, 0, 0, _UNKNOWN)]
    return code + _search(segments)


def _search(segments: list[tuple[int, tuple[_Code, ...]]]) -> list[_Code]:
    """Return a binary search; a conditional jump reaches 255 instructions, a plain one any distance."""
    if len(segments) == 1:
        return list(segments[0][1])
    middle = len(segments) // 2
    below, above = _search(segments[:middle]), _search(segments[middle:])
    start = segments[middle][0]
    if len(below) <= 255:
        return [(_JUMP_NOT_LESS, len(below), 0, start), *below, *above]
    return [(_JUMP_NOT_LESS, 0, 1, start), (_JUMP, 0, 0, len(below)), *below, *above]


def _verdict(name: str) -> tuple[_Code, ...]:
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)
    load = (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)
    match name:
        case "clone":
            return (load, (_JUMP_ANY_BIT, 0, 1, _NAMESPACE_FLAGS), refuse, allow)
        case "clone3":
            return ((_RETURN, 0, 0, _UNKNOWN),)
        case "socket":
            return (load, (_JUMP_EQUAL, 0, 1, _AF_VSOCK), refuse, allow)
        case "personality":
            count = len(_PERSONALITIES)
            tests = tuple((_JUMP_EQUAL, count - at, 0, value) for at, value in enumerate(_PERSONALITIES))
            return (load, *tests, refuse, allow)
        case _:
            return (allow,)
