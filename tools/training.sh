#!/bin/sh
# Installs what training needs into the environment that is named, for `make test-all`: torch's CPU build, whose version and
# hashes no file here pins, since they differ from those of a GPU's build, and beside it what requirements/train.txt pins.
# Does nothing where torch is there already.
set -eu
HERE=$(cd "$(dirname "$0")/.." && pwd)
PYTHON="${1:?name the Python of an environment}"

"$PYTHON" -c 'import torch, transformers' 2>/dev/null && exit 0
echo "Installing torch and transformers (once, some minutes) ..."
"$PYTHON" -m pip install --quiet --disable-pip-version-check torch==2.13.0
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$HERE/requirements/train.txt"
