#!/usr/bin/env bash
# Debian's arm64 packages that libjlcm_runtime stands on, unpacked into a folder for a cross build. Nothing is installed, and
# no root is needed.
#   scripts/aarch64_packages.sh DIR
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
(($# == 1)) || die "one argument is expected" "Usage: scripts/aarch64_packages.sh DIR"
packages=(
    libeigen3-dev libfmt-dev libfmt9 libpcre2-8-0 libpcre2-dev libsentencepiece-dev libsentencepiece0 libtbb-dev libtbb12
    libtbbbind-2-5 libtbbmalloc2 libutf8proc-dev libutf8proc2 nlohmann-json3-dev
)
list=$(printf '%s\n' "${packages[@]}")
[[ -f $1/packages && $(<"$1/packages") == "$list" ]] && exit 0
need_space "$1" 200 "unpacking arm64 packages"
say "fetching arm64 packages"
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt"/{lists/partial,cache/archives/partial,debs}
: >"$apt/status"
options=(--quiet=2 -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$apt" -o "Dir::State::status=$apt/status"
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Acquire::http::Timeout=30 -o Acquire::Retries=1)
apt-get "${options[@]}" update || die "apt-get update for arm64 failed (above)" "Check the network and /etc/apt/sources.list, then run this again."
(cd "$apt/debs" && apt-get "${options[@]}" download "${packages[@]}") ||
    die "arm64 packages could not be fetched (above)" "Check the network, then run this again. This project needs Debian 12 or newer."
rm -rf "$1" && mkdir -p "$1"
for package in "$apt"/debs/*.deb; do dpkg-deb --extract "$package" "$1"; done
printf '%s\n' "$list" >"$1/packages"
