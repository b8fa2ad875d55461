"""Signal names and numbers of Linux, as STOPSIGNAL writes them. Text goes in, the number comes out."""

from __future__ import annotations

_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
    "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)  # fmt: skip
SIGNALS = {name: number for number, name in enumerate(_NAMES, 1)} | {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
_FIRST_REALTIME = 34
_LAST_REALTIME = 64


def parse_signal(text: str) -> int | None:
    """Return the number of a signal given by number or name (any case, with or without ``SIG``), or None.

    Real-time signals are ``RTMIN``, ``RTMIN+n``, ``RTMAX`` and ``RTMAX-n``.
    """
    if text.isdecimal() and text.isascii():
        number = int(text[:4])
        return number if 1 <= number <= _LAST_REALTIME else None
    name = text.upper().removeprefix("SIG")
    if name in SIGNALS:
        return SIGNALS[name]
    base, sign, tail = name[:5], name[5:6], name[6:]
    first = {"RTMIN": _FIRST_REALTIME, "RTMAX": _LAST_REALTIME}.get(base)
    factor = {"": 0, "+": 1, "-": -1}.get(sign)
    if first is None or factor is None or len(tail) > 2 or (sign and not (tail.isdecimal() and tail.isascii())):
        return None
    number = first + factor * int(tail or 0)
    return number if _FIRST_REALTIME <= number <= _LAST_REALTIME else None
