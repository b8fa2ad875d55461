#!/bin/sh
# Before nginx starts, everything executable in /docker-entrypoint.d runs, in the order of its name.
set -e
case ${1-} in
nginx | nginx-debug)
    for script in /docker-entrypoint.d/*.sh; do
        if [ -x "$script" ]; then
            "$script" >&2
        fi
    done
    ;;
esac
exec "$@"
