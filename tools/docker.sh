#!/bin/sh
# Installs what the tests of the Docker sandbox need where that takes no question (as root, with apt): an engine, and
# debootstrap, which makes the image that the tests run in. Starts nothing; tests/support/docker_engine.py does.
set -u
missing=
command -v dockerd >/dev/null 2>&1 || missing="docker.io"
command -v debootstrap >/dev/null 2>&1 || missing="$missing debootstrap"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing $missing (apt) ..."
    # shellcheck disable=SC2086  # one word per package
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } \
        >/tmp/boxwright-apt.log 2>&1 && exit 0
    echo "That failed; see /tmp/boxwright-apt.log."
fi
echo "$missing missing: the tests of the Docker sandbox are skipped."
echo "Mend it with: sudo apt-get install $missing (or your distribution's packages of that name)"
exit 0
