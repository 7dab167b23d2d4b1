#!/usr/bin/env bash
# Builds llama.cpp's library and the oracle program scripts/llama_cpp/oracle.cpp on it, for tests and benchmarks that
# compare with llama.cpp (jlcm itself needs neither). The source is the copy inside the PyPI package
# llama-cpp-python; the program becomes $JLCM_CACHE/llama.cpp/build/bin/llama-oracle. Takes about ten minutes.
#   scripts/build_llama_cpp.sh [NINJA_OPTION...]
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

package=llama-cpp-python==0.3.36
archive=llama_cpp_python-0.3.36.tar.gz
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
home=$cache/llama.cpp
source=$home/source

if [[ ! -f $source/include/llama.h ]]; then
    need_space "$home" 1500 "llama.cpp"
    work=$(mktemp -d "$home/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "fetching llama.cpp (PyPI, $package, 77 MB)"
    pypi_download "$work" "$package" --no-binary llama-cpp-python
    has_hash "$work/$archive" $sha256 ||
        die "$archive is not the expected file (SHA-256 $sha256)" "Run this again; if it stays, report it."
    tar -xzf "$work/$archive" -C "$work" ||
        die "could not unpack $archive into $work" "Free some space under $cache and run this again."
    rm -rf "$source"
    mv "$work/${archive%.tar.gz}/vendor/llama.cpp" "$source"
fi

say "building llama.cpp in $home/build"
cmake -S "$root/scripts/llama_cpp" -B "$home/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DLLAMA_CPP_SOURCE="$source" >"$home/configure.log" 2>&1 ||
    die "cmake could not configure llama.cpp (see $home/configure.log)" "A missing package: run scripts/setup.sh."
ninja -C "$home/build" "$@" llama-oracle ||
    die "llama.cpp did not build (above)" "Too little memory: run scripts/build_llama_cpp.sh -j1."
say "built $home/build/bin/llama-oracle"
