#!/bin/sh
# Every /etc/nginx/templates/NAME.template becomes /etc/nginx/conf.d/NAME, with ${VARIABLE} replaced by its value.
# Only variables of the environment are replaced, so nginx's own ($uri, $host) come through.
# NGINX_ENVSUBST_FILTER is a regular expression that narrows which ones.
set -eu
from=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
to=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
filter=${NGINX_ENVSUBST_FILTER:-}

[ -d "$from" ] || exit 0
if [ ! -w "$to" ]; then
    echo "$0: $to is not writable; templates are left alone" >&2
    exit 0
fi
variables=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | grep -E -- "$filter" | sed 's/.*/${&}/' | tr '\n' ' ')
find -L "$from" -type f -name "*$suffix" | LC_ALL=C sort | while read -r template; do
    name=${template#"$from/"}
    output=$to/${name%"$suffix"}
    mkdir -p "$(dirname "$output")"
    envsubst "$variables" <"$template" >"$output"
done
