"""The authorization that a client holds for each scope: asked for when a registry refuses, shared by all its requests.

Owns who is told a secret: the registry itself, and the token server that it names, no one else. One thread asks for a token,
the others wait for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from jettison.errors import RegistryError
from jettison.registry.auth import Authorization, answer_challenges, parse_token
from jettison.registry.message import Request, clean_text, fault, host_of, redact_url, refusal

if TYPE_CHECKING:
    from jettison.registry.auth import Credential, TokenRequest
    from jettison.registry.credentials import Credentials
    from jettison.registry.exchange import Exchange


class Authority:
    """Authorizations for one registry. Safe to call from any thread."""

    def __init__(self, domain: str, exchange: Exchange, credentials: Credentials) -> None:
        self._domain = domain
        self._exchange = exchange
        self._credentials = credentials
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}

    def held(self, scope: str) -> str:
        """Return the header that was taken last for the scope, empty before the first challenge."""
        return self._held.get(scope, "")

    def renew(self, scope: str, challenge: str, *, refused: str, is_local: bool) -> str:
        """Return a header that answers the challenge; empty when we have nothing to answer with.

        ``refused`` is the header that the challenge was given for. If another thread has renewed it meanwhile, its header
        is returned.

        Raises:
            RegistryError: ``registry-token``, ``registry-unauthorized``, and those of requests.

        """
        with self._lock:
            held = self.held(scope)
            if held != refused:
                return held
            credential = self._credentials.find(self._domain)
            answer = answer_challenges(challenge, scope=scope, credential=credential, is_local=is_local)
            if answer is None or (isinstance(answer, Authorization) and answer.value == refused):
                return ""
            if not isinstance(answer, Authorization):
                answer = self._ask(answer, credential)
            self._held[scope] = answer.value
            return answer.value

    def why_not(self) -> str:
        """Return why there are no credentials although there might be, empty if nothing went wrong."""
        return self._credentials.why_not(self._domain)

    def _ask(self, wanted: TokenRequest, credential: Credential | None) -> Authorization:
        request = _request(wanted)
        try:
            fetched = self._exchange.fetch(request, self._exchange.limits.registry_answer_bytes)
        except ValueError as error:
            raise RegistryError(
                f"the registry '{self._domain}' names a token server that is none: {clean_text(redact_url(wanted.realm))!r}",
                slug="registry-token",
            ) from error
        status = fetched.reply.status
        if status == 200:
            return parse_token(fetched.body, host_of(request.url))
        if status in {400, 401, 403} and credential is not None:
            raise fault(
                f"the credentials for '{self._domain}' are not taken",
                request,
                slug="registry-unauthorized",
                hint=f"log in again: docker login {self._domain}",
            )
        raise refusal(request, status, fetched.body)


def _request(wanted: TokenRequest) -> Request:
    if wanted.form:
        return Request(
            method="POST",
            url=wanted.realm,
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body=urlencode(wanted.form).encode(),
        )
    realm = wanted.realm.partition("#")[0]
    joint = "&" if "?" in realm else "?"
    return Request(url=f"{realm}{joint}{urlencode(wanted.query)}", authorization=wanted.authorization)
