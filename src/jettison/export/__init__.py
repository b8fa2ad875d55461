"""Shipping images: OCI layouts and docker archives, out and in."""
