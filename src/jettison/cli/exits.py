"""Exit codes: 0 done; 1 a step failed; 2 usage or Dockerfile; 3 host unable; 4 registry; 70 bug; 130 stopped.

``jettison run`` gives the process's own code, and 125, 126, 127 as docker does.
"""

from __future__ import annotations

from jettison import errors

OK = 0
STEP_FAILED = 1
USAGE = 2
HOST = 3
REGISTRY = 4
BUG = 70
STOPPED = 130

_CODES: tuple[tuple[type[errors.JettisonError], int], ...] = (
    (errors.CancelledError, STOPPED),
    (errors.StepError, STEP_FAILED),
    (errors.RegistryError, REGISTRY),
    (errors.HostError, HOST),
    (errors.SandboxError, HOST),
    (errors.ImageNotFoundError, USAGE),
    (errors.StoreError, HOST),
    (errors.ContextError, USAGE),
    (errors.DockerfileError, USAGE),
    (errors.UsageError, USAGE),
)


def exit_code(error: errors.JettisonError) -> int:
    """Return the exit code of an error's class."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), STEP_FAILED)
