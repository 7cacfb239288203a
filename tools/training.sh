#!/bin/sh
# Installs what training needs into the environment that is named, for `make test-all`: torch's CPU build, whose version and
# hashes no file here pins, since they differ from those of a GPU's build, and beside it what requirements/train.txt pins.
# Does nothing where these are there already.
set -eu
HERE=$(cd "$(dirname "$0")/.." && pwd)
PYTHON="${1:?name the Python of an environment}"

# WordNet, of whose words the pocket student's episodes are made; without it, the tests of these are skipped.
if [ ! -e /usr/share/wordnet/data.noun ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install --yes --quiet wordnet-base >/dev/null 2>&1 || echo "wordnet-base could not be installed"
fi
"$PYTHON" -c 'import torch, transformers' 2>/dev/null && exit 0
echo "Installing torch and transformers (once, some minutes) ..."
"$PYTHON" -m pip install --quiet --disable-pip-version-check torch==2.13.0
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$HERE/requirements/train.txt"
