"""The command line: arguments to requests, results to text and exit codes.

Speaks to ``jettison.api`` and ``jettison.render`` alone.
"""
