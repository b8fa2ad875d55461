#!/bin/sh
# Installs the Debian/Ubuntu packages that a target needs, if any is missing. Usage: install_system.sh test|demo
set -eu
packages="python3-venv uidmap busybox-static"
case "${1:-}" in
  test) packages="$packages skopeo umoci buildah strace docker-registry" ;;
  demo)
    packages="$packages mmdebstrap debian-archive-keyring ca-certificates"
    # stand-ins for Node and Go images come from the npm registry and PyPI, through their own clients
    command -v npm >/dev/null 2>&1 || packages="$packages npm"
    ;;
  *) echo "usage: $0 test|demo" >&2; exit 2 ;;
esac
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "==> installing Debian packages:$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=""
elif command -v sudo >/dev/null 2>&1; then
  as_root="sudo"
else
  echo "these packages are missing and only root can install them:$missing" >&2
  exit 3
fi
log=$(mktemp)
if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 3
fi
rm -f "$log"
# docker-registry is only a judge for the tests: they start their own on loopback
if [ "$1" = test ] && command -v systemctl >/dev/null 2>&1; then
  $as_root systemctl disable --now docker-registry >/dev/null 2>&1 || true
fi
