"""Image references: ``repo:tag@digest`` as text and as data, with docker's defaults.

Grammar (distribution reference grammar)::

    reference  = name [ ":" tag ] [ "@" digest ]
    name       = [ domain "/" ] component *( "/" component )
    component  = alnum *( separator alnum )       separator = "." / "_" / "__" / *"-"
    tag        = word *127( word / "." / "-" )
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jettison.digest import Digest, parse_digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DEFAULT_DOMAIN = "docker.io"
_NAME_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A repository on a registry with a tag, a digest or both. ``tag`` is empty only when there is a digest."""

    domain: str
    path: str
    tag: str = "latest"
    digest: Digest | None = None

    def __str__(self) -> str:
        """Return the full spelling: ``docker.io/library/node:22-slim``."""
        text = f"{self.domain}/{self.path}"
        if self.tag:
            text += f":{self.tag}"
        return f"{text}@{self.digest}" if self.digest else text

    @property
    def familiar(self) -> str:
        """The short spelling that people use: ``node:22-slim``."""
        text = f"{self.domain}/{self.path}"
        if self.domain == _DEFAULT_DOMAIN:
            first, _, rest = self.path.partition("/")
            short = rest if first == "library" and rest and "/" not in rest else self.path
            if _split_domain(short) == (_DEFAULT_DOMAIN, short):  # else its first part would read as another registry
                text = short
        if self.tag:
            text += f":{self.tag}"
        return f"{text}@{self.digest}" if self.digest else text

    @property
    def repository(self) -> str:
        """The short spelling without tag and digest."""
        return Reference(domain=self.domain, path=self.path, tag="").familiar


def parse_reference(text: str) -> Reference:
    """Return the reference that the text spells, with docker's defaults filled in.

    Raises:
        ValueError: the text breaks the grammar; the message names the part.

    """
    rest, at, digest_text = text.partition("@")
    digest = parse_digest(digest_text) if at else None
    tag = ""
    slash = rest.rfind("/")
    colon = rest.rfind(":")
    if colon > slash:
        rest, tag = rest[:colon], rest[colon + 1 :]
        if not _TAG.match(tag):
            raise ValueError(f"invalid tag {tag!r}")
    if not rest:
        raise ValueError("an image name is missing")
    domain, path = _split_domain(rest)
    if len(path) > _NAME_MAX:
        raise ValueError(f"an image name has at most {_NAME_MAX} characters")
    match = _NAME.match(f"{domain}/{path}")
    if not match or match["domain"] != domain:
        if rest != rest.lower():
            raise ValueError(f"invalid image name {rest!r}: it must be lower case")
        raise ValueError(f"invalid image name {rest!r}")
    if domain == _DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return Reference(domain=domain, path=path, tag=tag or ("" if digest else "latest"), digest=digest)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if not is_domain:
        return _DEFAULT_DOMAIN, name
    if first == "index.docker.io":
        first = _DEFAULT_DOMAIN
    return first, rest
