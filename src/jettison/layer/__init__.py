"""Layer indexes and their content: the binary index, packs, tars in both directions, compression."""
