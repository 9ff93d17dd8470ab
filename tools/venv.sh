#!/bin/sh
# Makes .venv ready: `tools/venv.sh runtime` for running, `tools/venv.sh dev` for checks and tests.
# Does nothing when the locks, pyproject.toml and the place are those of the last time.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-runtime}
case $kind in
    runtime) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "usage: tools/venv.sh runtime|dev" >&2; exit 2 ;;
esac
venv=$PWD/.venv
log=$venv/install.log
wanted="$PWD $(cat requirements.lock requirements-dev.lock pyproject.toml | cksum)"

fail() { # what went wrong, and the cure
    echo "make: $1" >&2
    exit 1
}

good() { # does this interpreter run, and is it new enough? (a pyenv shim may exist and not run)
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

ready() { # was $1 installed here from these very locks?
    [ -f "$venv/.hushwire-$1" ] && [ "$(cat "$venv/.hushwire-$1")" = "$wanted" ]
}

make_venv() {
    for python in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3 none; do
        if good "$python"; then break; fi
    done
    [ "$python" != none ] || fail "no Python 3.11 or newer runs here: install python3.11 (or newer) with your package manager, or name one: make PYTHON=/path/to/python3"
    version=$("$python" -c 'import platform; print(platform.python_version())')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python $version has no venv module: apt install python3-venv (Debian, Ubuntu), then again"
    echo "==> making .venv with Python $version"
    rm -rf "$venv"
    "$python" -m venv "$venv" || { rm -rf "$venv"; fail "making .venv failed: see the lines above"; }
}

pip() { # quietly; the last lines of the log tell what went wrong
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        fail "installing failed (the lines above; all in .venv/install.log): is the package index reachable? Then run make again"
    }
}

# A .venv that was copied or moved here, or whose Python is gone, does not work: make it again.
if ! good "$venv/bin/python" || ! grep -qF "$venv" "$venv/bin/activate"; then
    make_venv
fi
if ready "$kind"; then exit 0; fi

rm -f "$venv/.hushwire-runtime" "$venv/.hushwire-dev"
echo "==> installing $(grep -c '^[a-z].*==' "$lock") packages from $lock (hashes checked)"
pip install --require-hashes -r "$lock"
echo "==> installing hushwire"
pip install --no-deps --no-build-isolation --no-index -e .
echo "$wanted" >"$venv/.hushwire-runtime"
[ "$kind" = runtime ] || echo "$wanted" >"$venv/.hushwire-dev" # dev includes what runtime has
