"""One command in its own namespaces."""
