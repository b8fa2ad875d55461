"""The OCI image format as data: descriptors, configs, manifests, canonical JSON. Pure."""
