"""One module per command or group of commands: ``add(subparsers)`` declares it, its handler does it."""
