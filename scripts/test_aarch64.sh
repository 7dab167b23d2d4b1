#!/usr/bin/env bash
# Cross builds the kernels of packed products and their test for aarch64, with Debian's compiler, and runs the test under
# qemu-user at both levels that there are (with and without the dot product of 8-bit integers).
#   scripts/test_aarch64.sh [TEST...]   the names of test cases, as Catch2 takes them; default: all of the file
# Packages: g++-aarch64-linux-gnu, qemu-user (scripts/setup.sh --aarch64).
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
