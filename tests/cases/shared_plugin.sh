#!/usr/bin/env bash
# examples/plugin is built as a project of its own against this build tree, loaded and described; libraries that do not
# fit are refused by name.
set -euo pipefail

build=$(dirname "$JLCM_BIN")
reference=$JLCM_BIN/jlcm-reference
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# expect_error TEXT COMMAND...: the command exits with 2 and says TEXT.
expect_error() {
    local text=$1 output status=0
    shift
    output=$("$@" 2>&1 >/dev/null) || status=$?
    [[ $status == 2 ]] || fail "$* exits with $status: $output"
    [[ $output == *"$text"* ]] || fail "$* says \"$output\" without \"$text\""
}

rm -rf plugin ./*.so
cmake -S "$JLCM_SOURCE/examples/plugin" -B plugin -Djlcm_DIR="$build" >configure.log || fail "$(cat configure.log)"
cmake --build plugin >build.log || fail "$(cat build.log)"
ctest --test-dir plugin --output-on-failure >test.log || fail "$(cat test.log)"
for level in v2 v3 v4; do  # its kernels are there for every instruction set, and each does the same
    grep -q "neighbour_$level .* *Passed" test.log || fail "no kernels of $level: $(cat test.log)"
    nm -C plugin/neighbour.so | grep -q "neighbour::isa_$level::table" || fail "neighbour.so lacks kernels of $level"
done
# The same from an installation.
rm -rf installed plugin-of-installed
cmake --install "$build" --prefix "$PWD/installed" >install.log || fail "$(cat install.log)"
cmake -S "$JLCM_SOURCE/examples/plugin" -B plugin-of-installed -DCMAKE_PREFIX_PATH="$PWD/installed" >configure.log ||
    fail "$(cat configure.log)"
cmake --build plugin-of-installed --target neighbour >build.log || fail "$(cat build.log)"
rm -rf installed
plugin=plugin/neighbour.so

"$reference" --plugin $plugin --list estimator | grep -q '^  neighbour  ' || fail "the plugin is not listed"
"$reference" --plugin $plugin --plugin $plugin --describe estimator.neighbour >description.txt
grep -q 'threshold  (number above 0, default 50)' description.txt || fail "its options are not described"
! "$reference" --list | grep -q '^  neighbour  ' || fail "the plugin is there without being loaded"

# Another build id: as many bytes, so that the library stays whole.
id=$("$reference" --version)
id=${id#jlcm }
other=9${id:1}
sed "s|jlcm plugin ABI: $id|jlcm plugin ABI: $other|" $plugin >wrong.so
expect_error "was built for jlcm $other, but this is jlcm $id; rebuild the plugin" "$reference" --plugin wrong.so
echo "no library" >text.so
expect_error "text.so: not a jlcm plugin" "$reference" --plugin text.so
head -c 4000 $plugin >cut.so
expect_error "cut.so: " "$reference" --plugin cut.so
expect_error "there is no such plugin library" "$reference" --plugin missing.so
cp $plugin copy.so
expect_error "plugin estimator.neighbour is registered twice" "$reference" --plugin $plugin --plugin copy.so

# A spec names libraries relative to itself, and means the same ones wherever it is written; nothing else is loaded,
# whatever lies beside the spec, the program's directory or in variables.
mkdir -p specs/libraries
cp $plugin specs/libraries/neighbour.so
cat >specs/named.yaml <<SPEC
plugins: libraries
model: {source: nothing}
calibration: {dataset: c4-sample}
compress: {bits: 2, learn: {estimator: neighbour}}
SPEC
sed /plugins/d specs/named.yaml >specs/libraries/silent.yaml
run=$JLCM_BIN/jlcm-run
"$run" specs/named.yaml --print-config | grep -qF "$PWD/specs/libraries" || fail "the plugin's path is not absolute"
"$run" specs/named.yaml --print-config | sed 's/  *#.*//' >elsewhere.yaml
(cd / && "$run" "$OLDPWD/elsewhere.yaml" --print-config >/dev/null) || fail "a written spec does not find its plugins"
(cd specs/libraries && LD_LIBRARY_PATH=$PWD expect_error 'unknown estimator "neighbour"' "$run" silent.yaml --print-config)
echo "the example plugin is loaded, libraries that do not fit are refused"
