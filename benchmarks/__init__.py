"""Speed, measured side by side with other builders; never asserted in tests. ``python -m benchmarks --help``."""
