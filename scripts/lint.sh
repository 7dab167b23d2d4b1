#!/usr/bin/env bash
# clang-tidy-16 over the sources of a configured build, those changed last first. A file that passed is not checked
# again until it, a header it includes or .clang-tidy changes: a stamp in the cache, named by the hash of all of them,
# says so. JLCM_LINT_SECONDS limits the time: no further file is begun after it, and how many are left is said.
#   scripts/lint.sh [FILE...]        default: every tracked .cpp of core, plugins and apps
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
build=${JLCM_BUILD:-$root/build}
[[ -f $build/compile_commands.json ]] ||
    die "$build holds no compile_commands.json" "Run scripts/test.sh first, or name a configured build in JLCM_BUILD."
stamps=$cache/lint
mkdir -p "$stamps"

# The files of the history, newest change first, then those that a shallow history does not name; each once.
sources() { grep -E '^(core|plugins|apps)/.*\.cpp$'; }
files=("$@")
((${#files[@]} > 0)) || mapfile -t files < <(
    { git log --format= --name-only | sources || true; git ls-files | sources; } | awk '!seen[$0]++' |
        while IFS= read -r file; do [[ ! -f $file ]] || printf '%s\n' "$file"; done
)
exec "$python" scripts/lib/lint.py "$root" "$build" "$stamps" "${JLCM_LINT_SECONDS:-}" "${files[@]}"
