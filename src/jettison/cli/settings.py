"""Flags and environment to settings; with ``api`` the only reader of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.api.settings import settings_from

if TYPE_CHECKING:
    import argparse

    from jettison.api.request import Settings


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the settings for the parsed arguments."""
    return settings_from(root=args.root)
