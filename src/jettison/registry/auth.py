"""Who we are to a registry: challenge in, request for a token or an Authorization header out.

Owns the grammar of challenges and the rule which of them is answered and how; asks nobody itself. Secrets appear in what it
returns to be sent, never in an error or a ``repr``. Refuses a token server without TLS unless it and the registry are on this
host. Source: RFC 9110, 11; distribution, "Token Authentication Specification" and "OAuth2 token". Pure.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from jettison.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_ID = "jettison"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*({_WORD})(?=\s|,|\Z)")
_PARAMETER = re.compile(rf"""[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))""")
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*\s*(?=,|\Z)")
_ESCAPED = re.compile(r"\\(.)")
_PLAIN_TOKEN = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A name and a secret; with ``is_identity`` the secret is a token that OAuth2 servers take for a new one."""

    name: str
    secret: str = field(repr=False)
    is_identity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way in that a server offers; ``scheme`` and the names of the parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token to ask for at ``realm``: by GET with ``query``, or by POST with ``form`` if there is one.

    ``authorization`` is the header to send, empty for an anonymous token.
    """

    realm: str
    query: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A header that answers a challenge at once."""

    value: str = field(repr=False)


Answer: TypeAlias = TokenRequest | Authorization


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a WWW-Authenticate header, or of several joined by commas, in their order.

    Grammar::

        header    = challenge *( "," challenge )
        challenge = scheme [ 1*SP ( token68 / parameter *( "," parameter ) ) ]
        parameter = word "=" ( word / quoted-string )

    What does not fit the grammar ends the reading; what came before counts.
    """
    found: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        token = _TOKEN68.match(header, position)
        if token is not None:
            position = token.end()
        else:
            while pair := _PARAMETER.match(header, position):
                position = pair.end()
                quoted, plain = pair[2], pair[3]
                value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain
                parameters.setdefault(pair[1].lower(), value)
        found.append(Challenge(scheme=match[1].lower(), parameters=parameters))
    return tuple(found)


def pull_scope(repository: str) -> str:
    """Return the scope that reads a repository."""
    return f"repository:{repository}:pull"


def answer_challenges(header: str, *, scope: str, credential: Credential | None, is_local: bool) -> Answer | None:
    """Return what answers the first challenge that can be answered; None when there is none.

    ``scope`` is what we want; the server's own word for it counts only if we name none. ``is_local`` says that the registry
    is on this host, so that its token server may be, too.

    Raises:
        RegistryError: ``registry-token``, the token server is not to be trusted with a secret.

    """
    for challenge in parse_challenges(header):
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return _token_request(challenge.parameters, scope, credential, is_local=is_local)
        if challenge.scheme == "basic" and credential is not None and not credential.is_identity:
            return Authorization(value=_basic(credential))
    return None


def parse_token(data: bytes, host: str) -> Authorization:
    """Return the header that the answer of a token server gives; ``host`` names the server in errors.

    Raises:
        RegistryError: ``registry-token``.

    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        for key in ("token", "access_token"):
            token = document.get(key)
            if isinstance(token, str) and token and _PLAIN_TOKEN.match(token):
                return Authorization(value=f"Bearer {token}")
    raise RegistryError(f"the token server '{host}' gave no token", slug="registry-token", hint="try again later")


def _token_request(
    parameters: Mapping[str, str], scope: str, credential: Credential | None, *, is_local: bool
) -> TokenRequest:
    realm = parameters["realm"]
    if not realm.startswith("https://") and not (is_local and realm.startswith("http://") and is_loopback_url(realm)):
        raise RegistryError(
            f"the registry sends us to a token server that is not safe: {_shown(realm)!r}",
            slug="registry-token",
            hint="the registry must name a token server with https",
        )
    service = (("service", parameters["service"]),) if parameters.get("service") else ()
    wanted = scope or parameters.get("scope", "")
    scopes = (("scope", wanted),) if wanted else ()
    client = (("client_id", CLIENT_ID),)
    if credential is None:
        return TokenRequest(realm=realm, query=(*service, *scopes, *client))
    if credential.is_identity:
        grant = (("grant_type", "refresh_token"), ("refresh_token", credential.secret))
        return TokenRequest(realm=realm, form=(*grant, *service, *scopes, *client))
    account = (("account", credential.name),)
    return TokenRequest(realm=realm, query=(*account, *service, *scopes, *client), authorization=_basic(credential))


def is_loopback_host(host: str) -> bool:
    """Tell whether a host, without its port, is this one by docker's rule: ``localhost``, 127.0.0.0/8 or ::1."""
    name = host.lower().strip("[]")
    if name in {"localhost", "::1"}:
        return True
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() and int(part) < 256 for part in parts)


def is_loopback_url(url: str) -> bool:
    """Tell whether the host of an absolute URL is this one."""
    place = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "@" in place or "\\" in place:
        return False
    host = place.partition("]")[0] if place.startswith("[") else place.rpartition(":")[0] or place
    return is_loopback_host(host)


def _basic(credential: Credential) -> str:
    pair = f"{credential.name}:{credential.secret}".encode()
    return "Basic " + b64encode(pair).decode("ascii")


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{place}"[:200]
