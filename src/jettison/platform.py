"""Platforms: ``linux/arm64/v8`` as text and as data.

Source: OCI image index specification (platform object) and the spelling that docker accepts (``amd64`` alone, ``x86_64``).
"""

from __future__ import annotations

from dataclasses import dataclass

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "arm": ("arm", "v7"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "386": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
    "loong64": ("loong64", ""),
    "loongarch64": ("loong64", ""),
    "mips64le": ("mips64le", ""),
}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_SYSTEMS = frozenset({"linux", "windows", "darwin", "freebsd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An operating system, an architecture and its variant (empty for the architecture's default)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        base = f"{self.os}/{self.architecture}"
        return f"{base}/{self.variant}" if self.variant else base


def parse_platform(text: str, default: Platform) -> Platform:
    """Return the platform that the text names; ``amd64`` alone takes the default's system, ``linux`` its architecture.

    Raises:
        ValueError: empty parts, more than three of them, or an unknown single word.

    """
    parts = text.strip().lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(part and _LETTERS.issuperset(part) for part in parts):
        many = "; one platform at a time" if "," in text else ""
        raise ValueError(f"not a platform: {text!r}{many}")
    if len(parts) == 1:
        word = parts[0]
        if word in _SYSTEMS:
            return Platform(os=word, architecture=default.architecture, variant=default.variant)
        if word not in _ARCHITECTURES:
            raise ValueError(f"neither a system nor an architecture: {text!r}")
        return normal_platform(default.os, word, "")
    return normal_platform(parts[0], parts[1], parts[2] if len(parts) == 3 else "")


def normal_platform(os: str, architecture: str, variant: str) -> Platform:
    """Return the platform with its common spelling (``aarch64`` is ``arm64``; ``v8`` is arm64's default)."""
    known, default_variant = _ARCHITECTURES.get(architecture, (architecture, ""))
    chosen = variant or default_variant
    if (known, chosen) in {("arm64", "v8"), ("amd64", "v1")}:
        chosen = ""
    return Platform(os=os, architecture=known, variant=chosen)
