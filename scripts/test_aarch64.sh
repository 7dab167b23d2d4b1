#!/usr/bin/env bash
# For aarch64, with Debian's cross compiler and under qemu-user: the test of packed products at both levels that there are
# (with and without the dot product of 8-bit integers), and libjlcm_runtime alone, by which a small model has to generate the
# tokens that it generates on x86.
#   scripts/test_aarch64.sh [TEST...]   the names of test cases, as Catch2 takes them; default: all of the file
# Packages: g++-aarch64-linux-gnu, qemu-user (scripts/setup.sh --aarch64); for the library arm64 packages, which
# scripts/aarch64_packages.sh fetches: if it cannot, that part is skipped, saying so.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
build=${JLCM_BUILD:-$root/build}-aarch64
compiler=aarch64-linux-gnu-g++
for program in "$compiler" qemu-aarch64; do
    command -v "$program" >/dev/null || die "$program is missing" "scripts/setup.sh --aarch64 installs it."
done

# Headers that are the same on every processor; the rest of /usr/include is not.
mkdir -p "$build/include"
for library in catch2 fmt; do ln -sfn "/usr/include/$library" "$build/include/$library"; done

sources=(
    core/base/parallel core/base/rng core/tensor/encoding core/tensor/memory core/tensor/tensor core/codebook/decoding_kernels core/codebook/packing
    core/backend/cpu/isa core/backend/cpu/packed_product
    tests/unit/backend/test_packed_product tests/support/main
)
kernels=(core/backend/cpu/isa_packed core/backend/cpu/isa_packed_blocks core/codebook/isa_decoding)
launcher=$(command -v ccache || true)
objects=()
jobs=()
# compile SOURCE OBJECT OPTION...: in the background, as many at once as there are cores.
compile() {
    local source=$1 object=$build/$2.o
    shift 2
    objects+=("$object")
    while (($(jobs -pr | wc -l) >= $(nproc))); do wait -n || true; done
    $launcher "$compiler" -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Werror -Wno-restrict -Wno-psabi -ffp-contract=off -DJLCM_STD_THREADS \
        -DFMT_HEADER_ONLY -I. -isystem "$build/include" "$@" -c "$source.cpp" -o "$object" &
    jobs+=($!)
}
say "cross building with $compiler"
for source in "${sources[@]}"; do compile "$source" "$(basename "$source")" -O1; done
declare -A options=([neon]=-march=armv8-a [neon_dot]=-march=armv8.2-a+dotprod)
for level in neon neon_dot; do
    for source in "${kernels[@]}"; do
        compile "$source" "$(basename "$source")-$level" -O3 -fno-math-errno -fno-trapping-math "${options[$level]}" \
            "-DJLCM_ISA=isa_$level"
    done
done
for job in "${jobs[@]}"; do wait "$job"; done
"$compiler" -static "${objects[@]}" -o "$build/test_packed_product"

for level in neon neon_dot; do
    say "packed products on $level"
    JLCM_ISA=$level qemu-aarch64 -cpu max "$build/test_packed_product" "$@"
done

packages=$cache/aarch64-packages runtime=$build/runtime
if ! (scripts/aarch64_packages.sh "$packages"); then
    say "SKIPPED: libjlcm_runtime and a generation, without arm64 packages (above)"
    exit 0
fi
say "cross building libjlcm_runtime"
mkdir -p "$runtime"
# Not for speed: what is emulated is slow, and the kernels have options of their own.
cmake -S . -B "$runtime" -G Ninja --toolchain cmake/aarch64-linux-gnu.cmake -DJLCM_AARCH64_PACKAGES="$packages" \
    -DJLCM_RUNTIME_ONLY=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS=-Wno-psabi \
    >"$runtime/configure.log" || die "cmake failed (above)" "See $runtime/configure.log."
ninja -C "$runtime" --quiet

libraries=$packages/usr/lib/aarch64-linux-gnu
emulate() { qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$runtime/lib:$libraries" "$@"; }
say "what libjlcm_runtime links"
linked=$(aarch64-linux-gnu-readelf --dynamic "$runtime/lib/libjlcm_runtime.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
printf '%s\n' "$linked"
! grep -E 'yaml|dnnl|crypto|ssl|gomp' <<<"$linked" || die "libjlcm_runtime links a library that it must do without" "See core/runtime.txt."

say "a generation"
model=${JLCM_ASSETS:-$root/../shared/assets}/lm/stories260k
if [[ -d $model ]]; then
    read_json() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$model/reference.json" "$1"; }
    printed=$(emulate "$runtime/bin/generate" "$model" "$(read_json prompt)")
    printf '%s\n' "$printed"
    [[ $printed == *"$(read_json greedy_text)"* ]] || die "not the text of the reference" "It is 'greedy_text' in $model/reference.json."
else
    say "SKIPPED: no model at $model"
fi
