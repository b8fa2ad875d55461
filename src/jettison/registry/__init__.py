"""The distribution protocol: images from registries, verified before anything of them shows."""
