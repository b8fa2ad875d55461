#!/bin/sh
# Runs the sandbox, snapshot, build and command-line tests as ordinary users: first as one with subordinate ids, then (a smoke
# test) as one without. As root it makes both users; they get a copy of the checkout and an interpreter that they can read.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "==> not root: the tests have run as the ordinary user $(id -un) already"
  exit 0
fi

user=jettison-test
lonely=jettison-lone
python=/usr/bin/python3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "$python is missing or older than 3.11: no interpreter that other users can read" >&2
  exit 3
fi

for name in "$user" "$lonely"; do
  getent passwd "$name" >/dev/null || useradd --no-create-home --home-dir /nonexistent --shell /bin/sh "$name"
done

# A range of 65,536 ids behind all that are given out; useradd may have given one itself, and one to the second user too.
for file in /etc/subuid /etc/subgid; do
  touch "$file"
  if ! grep -q "^$user:" "$file"; then
    start=$(awk -F: '{ end = $2 + $3; if (end > top) top = end } END { print (top < 100000 ? 100000 : top) }' "$file")
    echo "$user:$start:65536" >>"$file"
  fi
  sed -i "/^$lonely:/d" "$file"
done

place=$(mktemp -d /var/tmp/jettison-test.XXXXXX)
cleanup() {
  # what a build made with subordinate ids belongs to nobody that we are; root may remove it all the same
  rm -rf "$place"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
chmod 0755 "$place"
mkdir "$place/src" "$place/home" "$place/lone" "$place/tmp" "$place/lonetmp"

git -c safe.directory='*' ls-files -co --exclude-standard | while IFS= read -r path; do
  if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\n' "$path"; fi
done | tar -cf - --no-recursion -T - | tar -xf - -C "$place/src" --no-same-owner
chmod -R a+rX "$place/src"

echo "==> virtual environment for other users, with $python"
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check -r requirements/dev.lock
chmod -R a+rX "$place/venv"
chown "$user" "$place/home" "$place/tmp"
chown "$lonely" "$place/lone" "$place/lonetmp"
chmod 0700 "$place/home" "$place/lone" "$place/tmp" "$place/lonetmp"

# as USER HOME TMP WORDS...: run in the copy, with nothing of root's environment but the way to the network
as() {
  who=$1 home=$2 tmp=$3
  shift 3
  (
    cd "$place/src"
    exec setpriv --reuid="$who" --regid="$(id -g "$who")" --init-groups env -i \
      HOME="$home" USER="$who" LOGNAME="$who" TMPDIR="$tmp" LANG=C.UTF-8 \
      PATH="$place/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
      PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY="$tmp/hypothesis" ${CI:+CI="$CI"} ${JETTISON_REQUIRE:+JETTISON_REQUIRE="$JETTISON_REQUIRE"} \
      "$@"
  )
}

failed=0
echo "==> tests as $user (subordinate ids: $(grep "^$user:" /etc/subuid))"
as "$user" "$place/home" "$place/tmp" "$place/venv/bin/python" -m pytest -n 2 -m "not slow" --basetemp "$place/tmp/pytest" \
  tests/integration/sandbox tests/integration/snapshot tests/integration/build tests/cli \
  tests/unit/worker tests/unit/snapshot tests/unit/store tests/unit/context || failed=1

echo "==> tests as $lonely (no subordinate ids)"
as "$lonely" "$place/lone" "$place/lonetmp" "$place/venv/bin/python" -m pytest -n 2 -m "not slow" --basetemp "$place/lonetmp/pytest" \
  tests/integration/build/test_stages.py tests/integration/build/test_steps.py tests/cli/test_run.py || failed=1

echo "==> one project built by root, $user and $lonely, each with another umask"
mkdir "$place/rootbuild"
chmod 0700 "$place/rootbuild"
digests() {
  as "$1" "$2" "$3" env PYTHONPATH=src:. sh -c 'umask "$1"; "$2" -m tests.integration.build.digests "$3"' sh "$4" "$place/venv/bin/python" "$2/digests"
}
digests root "$place/rootbuild" "$place/rootbuild" 077 >"$place/digests" || failed=1
digests "$user" "$place/home" "$place/tmp" 022 >>"$place/digests" || failed=1
digests "$lonely" "$place/lone" "$place/lonetmp" 002 >>"$place/digests" || failed=1
cat "$place/digests"
if [ "$(wc -l <"$place/digests")" -ne 3 ] || [ "$(sort -u "$place/digests" | wc -l)" -ne 1 ]; then
  echo "the three users built different images" >&2
  failed=1
fi

exit "$failed"
