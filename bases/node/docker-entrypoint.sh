#!/bin/sh
# Options, and scripts that can't run by themselves, are meant for node; anything else is a command of its own.
set -e
case ${1-} in
"" | -*) exec node "$@" ;;
esac
if ! command -v "$1" >/dev/null 2>&1 || { [ -f "$1" ] && [ ! -x "$1" ]; }; then
    exec node "$@"
fi
exec "$@"
