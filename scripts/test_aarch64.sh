#!/usr/bin/env bash
# Cross builds libjlcm_runtime alone for aarch64, with Debian's compiler and packages, and runs under qemu-user: the test of
# packed products at both levels that there are (with and without the dot product of 8-bit integers), and a generation of a
# small model, which has to give the tokens that it gives on x86.
#   scripts/test_aarch64.sh [TEST...]   the names of test cases, as Catch2 takes them; default: all of the file
# Packages: g++-aarch64-linux-gnu, qemu-user (scripts/setup.sh --aarch64); arm64 packages: scripts/aarch64_packages.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
build=${JLCM_BUILD:-$root/build}-aarch64
packages=$cache/aarch64-packages
compiler=aarch64-linux-gnu-g++
for program in "$compiler" qemu-aarch64; do
    command -v "$program" >/dev/null || die "$program is missing" "scripts/setup.sh --aarch64 installs it."
done
scripts/aarch64_packages.sh "$packages"

say "cross building with $compiler"
mkdir -p "$build"
# Not for speed: what is emulated is slow, and the kernels have options of their own.
cmake -S . -B "$build" -G Ninja --toolchain cmake/aarch64-linux-gnu.cmake -DJLCM_AARCH64_PACKAGES="$packages" \
    -DJLCM_RUNTIME_ONLY=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS=-Wno-psabi \
    >"$build/configure.log" || die "cmake failed (above)" "See $build/configure.log."
ninja -C "$build" --quiet

# Catch2 2 is one header, the same on every processor; the rest of /usr/include is not.
mkdir -p "$build/include"
ln -sfn /usr/include/catch2 "$build/include/catch2"
for source in tests/support/main tests/unit/backend/test_packed_product; do
    $(command -v ccache || true) "$compiler" -std=c++20 -O1 -Wno-restrict -Wno-psabi -I. -isystem "$build/include" \
        -isystem "$packages/usr/include" -c "$source.cpp" -o "$build/$(basename "$source").o"
done
libraries=$packages/usr/lib/aarch64-linux-gnu
"$compiler" "$build"/{main,test_packed_product}.o -L"$build/lib" -L"$libraries" -ljlcm_runtime -lfmt -Wl,-rpath-link,"$libraries" \
    -o "$build/test_packed_product"

emulate() { qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$build/lib:$libraries" "$@"; }
for level in neon neon_dot; do
    say "packed products on $level"
    JLCM_ISA=$level emulate "$build/test_packed_product" "$@"
done

say "what libjlcm_runtime links"
linked=$(aarch64-linux-gnu-readelf --dynamic "$build/lib/libjlcm_runtime.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
printf '%s\n' "$linked"
! grep -E 'yaml|dnnl|crypto|ssl|gomp' <<<"$linked" || die "libjlcm_runtime links a library that it must do without" "See core/runtime.txt."

say "a generation"
model=${JLCM_ASSETS:-$root/../shared/assets}/lm/stories260k
if [[ -d $model ]]; then
    read_json() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$model/reference.json" "$1"; }
    printed=$(emulate "$build/bin/generate" "$model" "$(read_json prompt)")
    printf '%s\n' "$printed"
    [[ $printed == *"$(read_json greedy_text)"* ]] || die "not the text of the reference" "It is 'greedy_text' in $model/reference.json."
else
    say "SKIPPED: no model at $model"
fi
