"""The local store: blobs, layers, images, cache records, locks and the collector. See ``root`` for the whole picture."""
