"""``jettison pull``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jettison.cli.progress import open_renderer
from jettison.cli.settings import settings_of

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """examples:
  jettison pull debian:bookworm-slim
  jettison pull --platform linux/arm64 registry.example/app@sha256:...
"""


def add(commands: Any) -> None:
    """Declare the commands."""
    pull = commands.add_parser("pull", help="fetch an image from a registry", epilog=_EXAMPLES)
    pull.add_argument("name", metavar="NAME[:TAG|@DIGEST]")
    pull.add_argument("--platform", metavar="OS/ARCH", help="the platform to fetch (default: this host's)")
    pull.add_argument("-q", "--quiet", action="store_true", help="print only the image's full name")
    pull.add_argument(
        "--progress", choices=("auto", "plain", "tty", "rawjson", "quiet"), default="auto", help="how progress is shown"
    )
    pull.set_defaults(handler=run_pull)


def run_pull(args: argparse.Namespace) -> int:
    """Fetch the image; print its digest, what changed and its full name, as docker does."""
    from jettison.api.pulls import pull_image

    settings = settings_of(args)
    renderer = open_renderer("quiet" if args.quiet else args.progress, settings.environment)
    try:
        pulled = pull_image(settings, args.name, platform=args.platform, emit=renderer)
    finally:
        renderer.close()
    if not args.quiet:
        print(f"Digest: {pulled.manifest_digest}")
        what = "Downloaded newer image" if pulled.is_new else "Image is up to date"
        print(f"Status: {what} for {pulled.reference.familiar}")
    print(pulled.reference)
    return 0
