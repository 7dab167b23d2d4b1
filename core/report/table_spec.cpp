#include "core/report/table_spec.hpp"

#include "core/plugin/registry.hpp"

namespace jlcm {

void ColumnSpec::fields(Fields& v) {
    v("value", value,
      Doc{"A metric (perplexity), kl, agreement, bits, bytes, ratio, seconds, seconds.STAGE, memory, loss, "
          "moves, jumps.1, jumps.2, jumps.3+, or a place in result.json (footprint.bytes.runs)."},
      Required{});
    v("title", title, Doc{"Over the column. Empty: what the value is called."});
    v("evaluation", evaluation, Doc{"A part of the evaluation's title, if runs have several."});
    v("digits", digits, Doc{"Behind the point."}, Range{0, 12});
    v("percent", percent, Doc{"Times 100, with a sign."});
    v("best", best,
      Doc{"Which end is set in bold, in each section. The original model's figures never are."});
    v("error", error, Doc{"The error shown behind the plus-minus sign."});
    v("versus", versus, Doc{"The comparison with the baseline in place of the value."});
}

void ColumnSlot::decode(const Config& given, const Range& range, Problems& problems) {
    ColumnSpec& column = variable_;
    if (given.kind == Config::Kind::scalar) {
        TextSlot(column.value).decode(given, range, problems);
    } else {
        StructSlot<ColumnSpec>(column).decode(given, range, problems);
    }
}

Config ColumnSlot::encode() const {
    return encode_options(static_cast<const ColumnSpec&>(variable_));
}

TypeDoc ColumnSlot::type() const {
    ColumnSpec column;
    return StructSlot<ColumnSpec>(column).type();
}

void TableSpec::fields(Fields& v) {
    v("version", version, Doc{"Version of this format: 1."}, Range{1, 1});
    v("title", title, Doc{"The table's caption."});
    v("runs", runs,
      Doc{"Run directories, directories of them, or NAME.sweep.json files; the command line's win."});
    v("labels", labels,
      Doc{"If no sweep made the runs: names for parts of their paths, e.g. \"{objective}/{estimator}/*\"."});
    v("models", models,
      Doc{"Whose figures: original, solver_only, learned_only, compressed. With several, `model` is a key "
          "that tells them apart."});
    v("where", where,
      Doc{"Which runs: {key: value or list of values}. Keys are axes of the sweep, keys of the run's spec, "
          "`model`, or places in result.json."});
    v("rows", rows,
      Doc{"Keys that make a row; runs that share them all are averaged, and may differ in their seed alone. "
          "Empty: every axis of the sweep but the seed."});
    v("sections", sections,
      Doc{"One of the rows' keys: a rule is drawn, and bests are found, whenever it changes."});
    v("pivot", pivot, Doc{"A key whose values stand side by side, each with all columns."});
    v("columns", columns, Doc{"Empty: bits, bytes and every evaluation's figures."});
    v("baseline", baseline,
      Doc{"The row that others are compared with: {key: value}; the keys that it does "
          "not name are the row's own."});
    v("pairs", pairs, Doc{"The pairs of the paired significance test."});
    v("sort", sort,
      Doc{"Keys of rows or values of columns, \"-\" in front for descending. Empty: as the runs come."});
    v("names", names, Doc{"Text shown in place of a key or of a key's value."});
}

namespace {
const SectionRegistrar<TableSpec> section{"table", "The spec of jlcm-table."};
}

}  // namespace jlcm
