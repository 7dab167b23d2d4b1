#!/usr/bin/env bash
# clang-tidy-16 over the sources of a configured build. A file that passed is not checked again until it, a header it
# includes, its compile command or .clang-tidy changes: its stamp is named by the hash of all of them.
#   scripts/lint.sh [FILE...]        default: every tracked .cpp of core, plugins, apps and tests
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
build=${JLCM_BUILD:-$root/build}
[[ -f $build/compile_commands.json ]] ||
    die "$build holds no compile_commands.json" "Run scripts/test.sh first, or name a configured build in JLCM_BUILD."
stamps=$build/lint
mkdir -p "$stamps"
export build stamps root

(($# > 0)) || mapfile -t files < <(git ls-files 'core/*.cpp' 'plugins/*.cpp' 'apps/*.cpp' 'tests/*.cpp')
(($# == 0)) || files=("$@")
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" "$python" scripts/lib/lint_file.py
say "clang-tidy: ${#files[@]} files are clean"
