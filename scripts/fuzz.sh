#!/usr/bin/env bash
# Fuzzes the readers of files under AddressSanitizer and UBSan (tests/fuzz): the committed corpus, then what libFuzzer
# makes of it.
#   scripts/fuzz.sh [SECONDS [READER...]]        default: 10 seconds each, every reader
# In JLCM_FUZZ_BUILD (default: build-fuzz): corpus/READER keeps inputs that reach new code for the next time,
# findings/READER what a reader fails on. One allocation above 256 MB or memory above 1 GB is a failure too, since no
# input is larger than 16 kB.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

seconds=${1:-10}
fuzz_build=${JLCM_FUZZ_BUILD:-$root/build-fuzz}
command -v clang++-16 >/dev/null || die "clang++-16 is not there" "Run scripts/setup.sh --lint."
cmake -S "$root/tests/fuzz" -B "$fuzz_build" -G Ninja -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16 >/dev/null &&
    ninja -C "$fuzz_build" --quiet || die "the fuzzing program does not build (above)" "See tests/fuzz/CMakeLists.txt."

readers=("${@:2}")
((${#readers[@]} > 0)) || mapfile -t readers < <(ls "$root/tests/fuzz/corpus")
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=0
failed=()
for reader in "${readers[@]}"; do
    found=$fuzz_build/corpus/$reader
    log=$fuzz_build/$reader.log
    mkdir -p "$found" "$fuzz_build/findings/$reader"
    dictionary=()
    [[ ! -f $root/tests/fuzz/$reader.dict ]] || dictionary=("-dict=$root/tests/fuzz/$reader.dict")
    status=0
    JLCM_FUZZ_READER=$reader "$fuzz_build/bin/fuzz" -seed=1 -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=1024 \
        -malloc_limit_mb=256 -print_final_stats=1 -artifact_prefix="$fuzz_build/findings/$reader/" "${dictionary[@]}" \
        "$found" "$root/tests/fuzz/corpus/$reader" >"$log" 2>&1 || status=$?
    executions=$(awk '/^stat::number_of_executed_units/ { print $2 }' "$log")
    printf '%-24s %12s executions in %s s\n' "$reader" "${executions:-?}" "$seconds"
    ((status == 0)) || { failed+=("$reader") && tail -n 40 "$log"; }
done
((${#failed[@]} == 0)) ||
    die "these readers failed: ${failed[*]}" "Logs and inputs: $fuzz_build/READER.log, $fuzz_build/findings/READER."
