#!/bin/sh
# Writes both lock files from pyproject.toml. Pins stay as they are; `make lock UPGRADE=1` renews them.
set -eu
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
if [ ! -x "$uv" ]; then
    echo "==> installing uv, which writes the locks"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
fi

compile() { # output, then what goes into it
    output=$1
    shift
    echo "==> writing $output"
    "$uv" pip compile pyproject.toml "$@" --output-file "$output" ${UPGRADE:+--upgrade} --quiet \
        --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
}

compile requirements.lock --group build
compile requirements-dev.lock --group build --group dev --constraint requirements.lock
if grep -n '://' requirements.lock requirements-dev.lock; then
    echo "make lock: the lines above name a place to download from; remove what put them there" >&2
    exit 1
fi
