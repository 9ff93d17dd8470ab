#!/bin/sh
# Runs the tiers of tests, fastest first, and stops at the first that fails.
# Arguments go to pytest: `make test ARGS="-k redact"`.
set -eu
cd "$(dirname "$0")/.."

for tier in unit sim contract e2e; do
    [ -d "tests/$tier" ] || continue
    case $tier in
        e2e) workers=0 ;; # real processes are timed: one at a time
        *) workers=${WORKERS:-2} ;;
    esac
    echo "==> tests/$tier"
    .venv/bin/python -m pytest "tests/$tier" -n "$workers" -m "not torture" "$@" || {
        code=$?
        # With a selection (-k, -m) a tier may have nothing to run.
        if [ "$code" -eq 5 ] && [ $# -gt 0 ]; then continue; fi
        echo "make test: tests/$tier failed (pytest exit $code); later tiers did not run" >&2
        exit "$code"
    }
done
