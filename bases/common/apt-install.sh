#!/bin/sh
# Installs packages in a RUN step and leaves nothing behind that differs between two runs:
#   RUN --mount=type=bind,target=/mnt --mount=type=secret,id=debian_mirrors sh /mnt/apt-install.sh PACKAGE...
# Where the caller has mirrors of their own, the secret names them (bases/build.py writes it):
#   mirror=URI
#   security=URI
set -eu
export DEBIAN_FRONTEND=noninteractive
sources=/etc/apt/sources.list.d
if [ -s /run/secrets/debian_mirrors ]; then
    # shellcheck source=/dev/null
    . /run/secrets/debian_mirrors
    sources=$(mktemp -d)
    chmod 755 "$sources"
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    cat >"$sources/debian.sources" <<END
Types: deb
URIs: ${mirror:?}
Suites: $suite $suite-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: ${security:?}
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
fi
apt-get -qq -o Dir::Etc::SourceParts="$sources" update
apt-get -qq -o Dir::Etc::SourceParts="$sources" -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "$@"
[ "$sources" = /etc/apt/sources.list.d ] || rm -r "$sources"
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old \
    /etc/group- /etc/gshadow- /etc/passwd- /etc/shadow- /etc/subuid- /etc/subgid-
find /var/log -type f -delete
