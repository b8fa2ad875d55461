"""In what order ops run, at the same time where they can, and what comes from the cache. Knows no sandbox, store or registry."""
