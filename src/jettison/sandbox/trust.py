"""The company's certificate authorities inside a step: bundles and environment in -> mounts and variables out.

Pure: the caller reads its environment, the host's bundle and the image's. Owns which program reads which variable. Nothing is
mounted over a path of the image (``update-ca-certificates`` must work in a step), nothing gets into a layer, and none of it
belongs into a cache key. A variable that the step has already is left alone; apt's and Java's options are added to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from jettison.sandbox.keystore import STORE_PASSWORD, parse_bundle, render_bundle, render_trust_store
from jettison.sandbox.spec import MountSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUST_DIRECTORY = "/run/jettison-trust"
CALLER_VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
"""Variables of the caller whose presence asks for its authorities, the first one that is set wins."""

IMAGE_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where images keep their bundle: Debian and Alpine, Fedora, RHEL, SUSE, BSD style."""

_BUNDLE = f"{TRUST_DIRECTORY}/ca-bundle.pem"
_STORE = f"{TRUST_DIRECTORY}/ca-bundle.jks"
_APT = f"{TRUST_DIRECTORY}/apt.conf"
_BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Go, Ruby, PHP, rustls-native-certs
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a step gets: mounts for its spec, variables to add to (or replace in) its environment."""

    mounts: tuple[MountSpec, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def wanted_bundle(caller_env: Mapping[str, str]) -> str:
    """Return the host path of the bundle that the caller's environment asks to trust, empty when it asks for none."""
    return next((caller_env[name] for name in CALLER_VARIABLES if caller_env.get(name)), "")


def make_trust(*, host_bundle: bytes, image_bundle: bytes, step_env: Mapping[str, str]) -> Trust:
    """Return mounts and variables with which the step trusts the image's authorities and the host's.

    Both bundles are PEM and may be empty; without a certificate in the host's there is nothing to do.
    """
    bundle, store = _unite(host_bundle, image_bundle)
    if not bundle:
        return Trust()
    variables = [(name, _BUNDLE) for name in _BUNDLE_VARIABLES if not step_env.get(name)]
    variables.append(("APT_CONFIG", _APT))
    java = step_env.get("JAVA_TOOL_OPTIONS", "")
    if "javax.net.ssl.trustStore" not in java:
        options = (
            f"-Djavax.net.ssl.trustStore={_STORE} -Djavax.net.ssl.trustStorePassword={STORE_PASSWORD}"
            " -Djavax.net.ssl.trustStoreType=JKS"
        )
        variables.append(("JAVA_TOOL_OPTIONS", f"{java} {options}".strip()))
    apt = _apt_options(step_env.get("APT_CONFIG", ""))
    directory = MountSpec(kind="tmpfs", target=TRUST_DIRECTORY, mode=0o755, size_bytes=1 << 20)
    files = tuple(
        MountSpec(kind="file", target=path, data=data, mode=0o444, is_read_only=True)
        for path, data in ((_BUNDLE, bundle), (_STORE, store), (_APT, apt))
    )
    return Trust(mounts=(directory, *files), env=tuple(variables))


@lru_cache(maxsize=8)
def _unite(host_bundle: bytes, image_bundle: bytes) -> tuple[bytes, bytes]:
    host = parse_bundle(host_bundle)
    if not host:
        return b"", b""
    certificates = tuple(dict.fromkeys((*parse_bundle(image_bundle), *host)))
    return render_bundle(certificates), render_trust_store(certificates)


def _apt_options(existing: str) -> bytes:
    """Return apt's options; the step's own file comes last and so has the last word. apt.conf(5)."""
    lines = [f'Acquire::https::CAInfo "{_BUNDLE}";']
    if existing and '"' not in existing and "\n" not in existing:
        lines.append(f'#include "{existing}";')
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
