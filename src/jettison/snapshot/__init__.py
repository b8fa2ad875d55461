"""Layer chains as directories: unions without mounting, and the drivers that make root file systems of them."""
