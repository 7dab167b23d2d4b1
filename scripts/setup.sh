#!/usr/bin/env bash
# Installs the Debian packages that the build needs; asks for no network where all are there.
#   scripts/setup.sh [--tests] [--lint] [--bench] [--slurm] [--aarch64]
# --tests: also the data of ONNX's own tests; --lint: also what lint and fuzzing (.ci/run) take of LLVM 16;
# --bench: also what only bench/ compares with; --slurm: also the SLURM that the launcher's test starts;
# --aarch64: also the cross compiler and the emulator of scripts/test_aarch64.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

packages=(
    ca-certificates ccache cmake g++ ninja-build pkg-config python3-pip python3-venv
    libboost-dev libboost-filesystem-dev libcli11-dev libdnnl-dev libeigen3-dev libfmt-dev libpcre2-dev
    libonnx-dev libprotobuf-c-dev libsamplerate0-dev libsentencepiece-dev libsndfile1-dev libspng-dev libssl-dev
    libtbb-dev libturbojpeg0-dev libutf8proc-dev libyaml-cpp-dev nlohmann-json3-dev protobuf-c-compiler zlib1g-dev
    catch2 dataset-fashion-mnist librsvg2-bin sentencepiece
)
for argument; do
    case $argument in
        --tests) packages+=(libonnx-testdata) ;;
        --lint) packages+=(clang-16 clang-format-16 clang-tidy-16 libclang-rt-16-dev git) ;;
        --bench) packages+=(libopenblas-dev) ;;
        --slurm) packages+=(munge slurm-wlm) ;;
        --aarch64) packages+=(g++-aarch64-linux-gnu qemu-user) ;;
        *) die "unknown argument '$argument'" "Usage: scripts/setup.sh [--tests] [--lint] [--bench] [--slurm] [--aarch64]" ;;
    esac
done

command -v dpkg-query >/dev/null ||
    die "this is not a Debian system (no dpkg-query)" \
        "Install the packages that cmake/JlcmDependencies.cmake names, then build with cmake as CONTRIBUTING.md says."

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
        missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    say "all Debian packages are there"
    exit 0
fi

sudo=()
if ((EUID != 0)); then
    command -v sudo >/dev/null ||
        die "these packages are missing and need root to install: ${missing[*]}" \
            "As root: apt-get install --no-install-recommends ${missing[*]}"
    sudo=(sudo)
fi
need_space /var/cache 2000 "installing packages"
say "installing ${missing[*]}"
"${sudo[@]}" apt-get update --quiet ||
    die "apt-get update failed (above)" "Check the network and /etc/apt/sources.list, then run this again."
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" ||
    die "apt-get install failed (above)" \
        "Check the network, free space and other runs of apt, then run this again. This project needs Debian 12 or newer."
