#!/usr/bin/env bash
# Puts the text of the Debian Administrator's Handbook into the cache and prints its path: the text that anyone with
# Debian's packages can calibrate and evaluate with (dataset debian-handbook; GPL-2+ or CC BY-SA 3.0).
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

package=debian-handbook
version=11.20220922
sha256=946724af1f50c27ab45843912c8412c438cf8659e30c6ad3a7b6b9d9bfa7f709 # also in plugins/data/debian_handbook.cpp
text=$cache/data/debian-handbook.txt

if has_hash "$text" $sha256; then
    say "the handbook's text is there: $text"
    exit 0
fi
need_space "$cache/data" 150 "the handbook"
work=$(mktemp -d "$cache/data/handbook.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching the Debian package $package $version (35 MB)"
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package=$version") ||
    die "apt-get could not download $package $version (it knows: $(apt-cache madison $package 2>/dev/null |
        awk '{ printf "%s%s", sep, $3; sep = ", " }' || true))" \
        "Check the network; run 'apt-get update' as root; or put another text under $cache/data and name its path."
# The package is unpacked, not installed: slim systems leave /usr/share/doc out of what they install.
dpkg-deb -x "$work"/*.deb "$work/package" ||
    die "could not unpack $package" "Free some space under $cache and run this again."
"$python" "$root/scripts/make_handbook_text.py" "$work/package/usr/share/doc/$package/html/en-US" "$work/text" ||
    die "could not turn the handbook into text (above)" "Report it, with the output of '$python --version'."
has_hash "$work/text" $sha256 ||
    die "the handbook's text is not the expected one (SHA-256 $sha256)" "Report it, with the package's version."
mv "$work/text" "$text"
say "the handbook's text: $text"
