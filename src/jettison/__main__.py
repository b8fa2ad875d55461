"""``python -m jettison``."""

from jettison.cli.main import entry

entry()
