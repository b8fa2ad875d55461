#!/bin/sh
# Called by mmdebstrap: customize.sh ROOT DIRECTORY-OF-THIS-SCRIPT yes|no
# The last word says whether the sources that mmdebstrap used are Debian's own and may be recorded.
set -eu
root=$1
here=$2
is_recorded=$3

sources="$root/etc/apt/sources.list.d/debian.sources"
if [ "$is_recorded" = yes ]; then
    sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}//p' "$root/etc/apt/sources.list" | while read -r uri suites components; do
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n' "$uri" "$suites" "$components"
        printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
    done >"$sources.new"
else
    echo "# Made from a private mirror, which is not recorded here." >"$sources.new"
fi

# What mmdebstrap wrote for its own use names options of the machine that ran it.
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*.list "$root"/etc/apt/sources.list.d/*.sources \
    "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/hostname \
    "$root"/etc/resolv.conf
mv "$sources.new" "$sources"
chmod 644 "$sources"

cat >"$root/etc/apt/apt.conf.d/container" <<'END'
// Nothing that only speeds up a later apt run is worth a place in a layer.
Acquire::GzipIndexes "true";
Acquire::Languages "none";
APT::AutoRemove::SuggestsImportant "false";
APT::Keep-Downloaded-Packages "false";
APT::Update::Post-Invoke { "rm -f /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"; };
DPkg::Post-Invoke { "rm -f /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END

mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
{
    cat "$here/slim.cfg"
    echo "# A container comes and goes as a whole: dpkg need not wait for the disk."
    echo "force-unsafe-io"
} >"$root/etc/dpkg/dpkg.cfg.d/container"

# No package may start its service while an image is built.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

# Essential packages are unpacked before dpkg knows what to leave out.
find "$root/usr/share/doc" -mindepth 1 -not -type d -not -name copyright -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
find "$root/usr/share/locale" -mindepth 1 -not -name locale.alias -delete
for name in info lintian man; do
    if [ -d "$root/usr/share/$name" ]; then find "$root/usr/share/$name" -mindepth 1 -delete; fi
done

rm -rf "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/cache/ldconfig/aux-cache \
    "$root"/var/lib/apt/lists/* "$root"/var/lib/dpkg/*-old
mkdir -p "$root/var/cache/apt/archives/partial"
find "$root/var/log" -type f -delete
