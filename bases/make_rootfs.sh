#!/bin/sh
# Writes the root file system of a base as a tar archive to standard output.
#
#   make_rootfs.sh debian SUITE      a small Debian, as the official -slim images are
#   make_rootfs.sh busybox SUITE     Debian's static busybox of that suite, and a link for every applet
#
# Needs mmdebstrap and Debian's archive keyring. Runs as root, and as an ordinary user where mmdebstrap finds a mode
# for it (subordinate ids and user namespaces). Reads from the environment:
#   SOURCE_DATE_EPOCH         times of the files; the same packages then give the same bytes
#   DEBIAN_MIRROR             where the packages come from; not recorded in the result. Without it: Debian's own address,
#                             as mmdebstrap knows it, and that is what the result's apt uses
#   DEBIAN_SECURITY_MIRROR    the same for security updates
#   http_proxy, https_proxy   as apt reads them; not recorded in the result
set -eu
LC_ALL=C
export LC_ALL
umask 022

usage="usage: make_rootfs.sh debian|busybox SUITE >ROOTFS.tar"
kind=${1:?$usage}
suite=${2:?$usage}
here=$(cd "$(dirname "$0")" && pwd)
: "${SOURCE_DATE_EPOCH:=1735689600}"
export SOURCE_DATE_EPOCH
mirror=${DEBIAN_MIRROR:-}
security=${DEBIAN_SECURITY_MIRROR:-}

command -v mmdebstrap >/dev/null || { echo "make_rootfs.sh: mmdebstrap is not installed" >&2; exit 3; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || { echo "make_rootfs.sh: $keyring is missing (package debian-archive-keyring)" >&2; exit 3; }

if [ -n "$mirror" ] && [ -z "$security" ]; then
    echo "make_rootfs.sh: DEBIAN_MIRROR needs DEBIAN_SECURITY_MIRROR beside it" >&2
    exit 2
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/make-rootfs.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Calls mmdebstrap with these options, the suite, and the sources that were asked for.
bootstrap() {
    if [ -n "$mirror" ]; then
        mmdebstrap --quiet --mode=auto --components=main "$@" "$suite" - \
            "deb [signed-by=$keyring] $mirror $suite main" \
            "deb [signed-by=$keyring] $mirror $suite-updates main" \
            "deb [signed-by=$keyring] $security $suite-security main"
    else
        mmdebstrap --quiet --mode=auto --components=main "$@" "$suite" -
    fi
}

debian() {
    # The hook runs as the user that mmdebstrap becomes, who may not be able to read the checkout.
    cp "$here/debian/customize.sh" "$here/debian/slim.cfg" "$work/"
    chmod 755 "$work"
    chmod 644 "$work"/*
    # The hook directory merges /usr in advance: else bookworm brings usrmerge, and with it the whole of Perl.
    recorded=yes
    [ -z "$mirror" ] || recorded=no
    # shellcheck disable=SC2016  # mmdebstrap's own shell fills in "$1", the new root
    bootstrap --format=tar --variant=minbase \
        --skip=output/dev,chroot/policy-rc.d --dpkgopt="$work/slim.cfg" \
        --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr \
        --customize-hook='sh '"'$work/customize.sh'"' "$1" '"'$work' $recorded"
}

busybox() {
    root=$work/root
    mkdir "$root"
    for directory in bin dev etc home lib proc root run sbin sys tmp usr/bin usr/sbin usr/share/doc/busybox-static \
        var/spool/mail var/tmp var/www; do
        mkdir -p "$root/$directory"
    done
    bootstrap --format=null --variant=extract --include=busybox-static \
        --extract-hook="download /bin/busybox '$root/bin/busybox'" \
        --extract-hook="download /usr/share/doc/busybox-static/copyright '$work/copyright'"
    cp "$work/copyright" "$root/usr/share/doc/busybox-static/copyright"
    chmod 755 "$root/bin/busybox"

    # Every applet at the path it was compiled for and, as scripts expect either, in /bin.
    "$root/bin/busybox" --list-full | while read -r path; do
        case $path in linuxrc) continue ;; esac
        name=${path##*/}
        [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"
        mkdir -p "$root/${path%/*}"
        [ -e "$root/$path" ] || ln -s /bin/busybox "$root/$path"
    done

    cp "$here/busybox/group" "$here/busybox/nsswitch.conf" "$here/busybox/passwd" "$root/etc/"
    printf 'root:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n' >"$root/etc/shadow"
    chmod 644 "$root/etc/group" "$root/etc/nsswitch.conf" "$root/etc/passwd"
    chmod 600 "$root/etc/shadow"
    chmod 700 "$root/root"
    chmod 1777 "$root/tmp" "$root/var/tmp"
    tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        --directory="$root" .
}

case $kind in
debian | busybox) "$kind" ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
