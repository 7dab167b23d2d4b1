#!/usr/bin/env bash
# examples/plugin is built as a project of its own against this build tree, loaded and described; libraries that do not
# fit are refused by name. Records of an evaluation from outside of the tree go through every program.
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

# says TEXT COMMAND...: the command prints TEXT. It is read to the end: grep alone would close the pipe on it.
says() {
    local text=$1 output
    shift
    output=$("$@") && [[ $output == *"$text"* ]]
}
# says_line TEXT COMMAND...: the same, for a whole line.
says_line() {
    local text=$1 output
    shift
    output=$("$@") && [[ $'\n'$output$'\n' == *$'\n'"$text"$'\n'* ]]
}

rm -rf plugin ./*.so
cmake -S "$JLCM_SOURCE/examples/plugin" -B plugin -Djlcm_DIR="$build" >configure.log || fail "$(cat configure.log)"
cmake --build plugin >build.log || fail "$(cat build.log)"
ctest --test-dir plugin --output-on-failure >test.log || fail "$(cat test.log)"
for level in v2 v3 v4; do  # its kernels are there for every instruction set, and each does the same
    grep -q "neighbour_$level .* *Passed" test.log || fail "no kernels of $level: $(cat test.log)"
    says "neighbour::isa_$level::table" nm -C plugin/neighbour.so || fail "neighbour.so lacks kernels of $level"
done
# The same from an installation.
rm -rf installed plugin-of-installed
cmake --install "$build" --prefix "$PWD/installed" >install.log || fail "$(cat install.log)"
cmake -S "$JLCM_SOURCE/examples/plugin" -B plugin-of-installed -DCMAKE_PREFIX_PATH="$PWD/installed" >configure.log ||
    fail "$(cat configure.log)"
cmake --build plugin-of-installed --target neighbour >build.log || fail "$(cat build.log)"
rm -rf installed
plugin=plugin/neighbour.so

says $'\n  neighbour  ' "$reference" --plugin $plugin --list estimator || fail "the plugin is not listed"
"$reference" --plugin $plugin --plugin $plugin --describe estimator.neighbour >description.txt
grep -q 'threshold  (number above 0, default 50)' description.txt || fail "its options are not described"
! says $'\n  neighbour  ' "$reference" --list || fail "the plugin is there without being loaded"

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
says "$PWD/specs/libraries" "$run" specs/named.yaml --print-config || fail "the plugin's path is not absolute"
"$run" specs/named.yaml --print-config | sed 's/  *#.*//' >elsewhere.yaml
(cd / && "$run" "$OLDPWD/elsewhere.yaml" --print-config >/dev/null) || fail "a written spec does not find its plugins"
(cd specs/libraries && LD_LIBRARY_PATH=$PWD expect_error 'unknown estimator "neighbour"' "$run" silent.yaml --print-config)

# An evaluation whose protocol, title and figures are none that jlcm has.
cmake -S "$JLCM_SOURCE/tests/cases/support/evaluation_plugin" -B told -Djlcm_DIR="$build" >configure.log ||
    fail "$(cat configure.log)"
cmake --build told >build.log || fail "$(cat build.log)"
model=$JLCM_SOURCE/tests/golden/transformers/llama_biased
eval_told() { "$JLCM_BIN/jlcm-eval" "$model" --original "$model" --plugin told/told.so --task told "$@"; }
says_line told eval_told || fail "an evaluation without a protocol has no table"
says_line 'told: depth 3, unit bytes' eval_told --set "protocol='{\"unit\": \"bytes\", \"depth\": 3}'" || fail "its protocol"
says_line told eval_told --set "protocol='[1, 2]'" || fail "a protocol that is a list"
eval_told --set "protocol='{\"windows\": \"many\", \"text_sha256\": 5, \"items\": 1.5, \"bos\": null}'" >/dev/null || fail "odd types"
says ' 1.00 |' eval_told --set "more='{\"acc\": \"high\", \"minimum\": null, \"kl\": [1]}'" || fail "odd figures"
says '| a\|b |' eval_told --set "title='two
lines'" --set 'metric="a|b"' || fail "a line break in a title"
for value in nan inf -inf; do
    status=0
    eval_told --set "value=\"$value\"" --json told.json >told.txt 2>said.txt || status=$?
    [[ $status == 5 ]] || fail "a figure of $value ends with exit code $status"
    grep -q "| *$value |" told.txt && grep -q "not finite: told: value $value of the model" said.txt || fail "$value is not shown"
    grep -q "\"value\": \"$value\"" told.json && grep -q '"value": null' told.json || fail "$value is not in the record"
done

# In a run: tables, pages and comparisons take the record.
seq 1 2000 >numbers.txt
cat >told.yaml <<SPEC
plugins: told/told.so
model: {source: $model}
compute: float32
calibration: {dataset: $PWD/numbers.txt, sequences: 8, length: 16}
compress: {bits: 3}
evaluate:
  - {type: told, protocol: '{"unit": "bytes"}', items: '[1, 2, 3]'}
  - {type: told, protocol: '{"unit": "words"}', items: '[true, "x", null]', more: '{"acc": "high"}'}
  - {type: told, title: "without a protocol", items: '[{}]'}
SPEC
rm -rf out
"$run" told.yaml --out out >run.txt || fail "$(cat run.txt)"
"$JLCM_BIN/jlcm-table" out >table.txt || fail "a table of an evaluation from outside"
grep -q 'told, unit bytes' table.txt && grep -q 'told, unit words' table.txt || fail "$(cat table.txt)"
"$JLCM_BIN/jlcm-table" out --format run >/dev/null || fail "a run's own table"
"$JLCM_BIN/jlcm-report" out -o page.html || fail "a page"
directory=$(echo out/*)
says 'without a protocol' "$JLCM_BIN/jlcm-compare" "$directory" "$directory:original" || fail "a comparison"
"$JLCM_BIN/jlcm-compare" "$directory" "$directory" >/dev/null || fail "a comparison with itself"
echo "the example plugin is loaded, libraries that do not fit are refused, records from outside are shown"
