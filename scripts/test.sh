#!/usr/bin/env bash
# Sets up as scripts/quickstart.sh does, builds with tests and runs them all through ctest.
#   scripts/test.sh [CTEST_OPTION...]        for instance: scripts/test.sh -R '^graph:'
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

export JLCM_PYTHON=${JLCM_PYTHON:-$cache/venv/bin/python}
"$root/scripts/setup.sh" --tests
default_build -DJLCM_TESTS=ON
"$root/scripts/fetch_model.sh"
"$root/scripts/fetch_zoo.sh" || warn "cases:zoo is skipped without them."
find_texts

# Other programs' Python packages that some tests compare with.
oracles=$root/scripts/requirements-test.txt
if ! cmp --silent "$oracles" "$cache/venv/requirements-test.txt"; then
    make_venv
    say "installing Python packages to compare with: $(grep -v '^#' "$oracles" | paste -sd ' ')"
    if "$cache/venv/bin/pip" install --quiet --requirement "$oracles"; then
        cp "$oracles" "$cache/venv/requirements-test.txt"
    else
        warn "pip could not install them (above): tests that need them are skipped."
        warn "Check the network and run scripts/test.sh again to have them."
    fi
fi

say "running the tests"
cd "$root"
exec ctest --test-dir "$build" --output-on-failure -j2 "$@"
