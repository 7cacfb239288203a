#!/bin/sh
# Installs bubblewrap, the sandbox, where that needs no question (as root, with apt); else says what is missing.
set -u
[ "$(uname -s)" = Linux ] || {
    echo "No bubblewrap on this system: only boxes that ship with Boxwright, or that you trust, will run."
    exit 0
}
command -v bwrap >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing bubblewrap (apt) ..."
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bubblewrap; } \
        >/tmp/boxwright-apt.log 2>&1 && exit 0
    echo "That failed; see /tmp/boxwright-apt.log."
fi
echo "bubblewrap is missing: only boxes that ship with Boxwright, or that you trust, will run."
echo "Mend it with: sudo apt-get install bubblewrap (or your distribution's package of that name)"
exit 0
