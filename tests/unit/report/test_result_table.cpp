// Tables of runs: averages, bests, significance, and what must not stand in one column.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/printable.hpp"
#include "core/report/report_page.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_table.hpp"
#include "core/report/statistics.hpp"
#include "core/report/table_formats.hpp"
#include "core/spec/resolve.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Matchers::Contains;
using nlohmann::json;

struct Run {
    std::string name;
    std::string method = "a";
    int bits = 2;
    int seed = 0;
    double perplexity = 10;
    std::vector<double> items = {};
    int context = 2048;
    int steps = 5;
};

json evaluation(const Run& run) {
    return {
        {"name", "perplexity"},
        {"metric", "perplexity"},
        {"title", "perplexity, text"},
        {"protocol", {{"text", "text"}, {"text_sha256", std::string(64, 'a')}, {"context", run.context}}},
        {"models",
         {{"original", {{"value", 5.0}, {"stderr", 0.5}}},
          {"compressed", {{"value", run.perplexity}, {"stderr", 0.25}, {"kl", 0.5}, {"agreement", 0.75}}}}}};
}

/// Writes the runs below `folder`, with a sweep's file that has their labels.
void write_runs(const std::filesystem::path& folder, const std::vector<Run>& runs) {
    json sweep{{"version", 1}, {"axes", {"method", "bits", "seed"}}, {"runs", json::array()}};
    for (const Run& run : runs) {
        const std::string spec =
            fmt::format("seed: {}\ncompress:\n  bits: {}\n  solver:\n    type: {}\n  steps: {}\n", run.seed,
                        run.bits, run.method, run.steps);
        const json result{
            {"version", 1},
            {"name", "x"},
            {"hash", run.name + std::string(64, '0')},
            {"seed", run.seed},
            {"identity", {{"spec", spec}, {"model_sha256", "m"}}},
            {"footprint",
             {{"linear_bits_per_weight", 2.09},
              {"source_linear_bits_per_weight", 5.0},
              {"file_bytes", 59269263},
              {"source_bytes", 98362432},
              {"compressed_weights", 100}}},
            {"evaluations", {evaluation(run)}},
            {"stages", {{{"name", "learn"}, {"seconds", 3.0}, {"peak_memory_bytes", 2000000}}}}};
        write_file(folder / run.name / "result.json", result.dump());
        if (!run.items.empty()) {
            const json record{{"title", "perplexity, text"}, {"models", {{"compressed", run.items}}}};
            write_file(folder / run.name / "predictions.json", json::array({record}).dump());
        }
        sweep["runs"].push_back({{"directory", run.name},
                                 {"labels",
                                  {{"method", run.method},
                                   {"bits", std::to_string(run.bits)},
                                   {"seed", std::to_string(run.seed)}}}});
    }
    write_file(folder / "x.sweep.json", sweep.dump());
}

TableSpec spec_of(const std::string& yaml) {
    Problems problems;
    const auto config = parse_config(yaml, {"t.yaml", 1, 1}, problems);
    auto spec = resolve<TableSpec>(*config, problems).value;
    problems.throw_if_any();
    return spec;
}

/// The table's cells, or what is wrong.
std::vector<std::vector<std::string>> cells(const std::vector<Run>& runs, const std::string& yaml) {
    const test::TemporaryDirectory folder;
    write_runs(folder.path(), runs);
    std::vector<std::vector<std::string>> lines;
    try {
        for (const TableRow& row : make_table(spec_of(yaml), read_runs({folder.path()})).rows) {
            auto& line = lines.emplace_back();
            for (const TableCell& cell : row.cells)
                line.push_back(cell.is_best ? "!" + cell.text : cell.text);
        }
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        lines = {{error.what()}};
    }
    return lines;
}

std::string problem(const std::vector<Run>& runs, const std::string& yaml) {
    const auto lines = cells(runs, yaml);
    REQUIRE(lines.size() == 1);
    return lines.front().front();
}

using Lines = std::vector<std::vector<std::string>>;

const std::vector<Run> four = {{.name = "r1", .method = "a", .seed = 1, .perplexity = 10},
                               {.name = "r2", .method = "a", .seed = 2, .perplexity = 12},
                               {.name = "r3", .method = "b", .seed = 1, .perplexity = 8},
                               {.name = "r4", .method = "b", .seed = 2, .perplexity = 8}};

}  // namespace

TEST_CASE("mean and standard error; the paired t-test against an integral of Student's density") {
    const std::vector<double> values{1, 2, 4};
    CHECK(mean_and_error(values).mean == Approx(7.0 / 3));
    CHECK(*mean_and_error(values).error == Approx(std::sqrt(7.0 / 3 / 3)));
    CHECK_FALSE(mean_and_error(std::vector{3.0}).error);
    // Twice the density's integral over 400,000 strips from t = 2.1 on.
    CHECK(*paired_t_test(std::vector<double>{1, 2, 4, 3, 7}, std::vector<double>{2, 2.5, 3.5, 5, 9}) ==
          Approx(0.1027004275).epsilon(1e-8));
    CHECK(*paired_t_test(values, values) == 1.0);
    CHECK(*paired_t_test(values, std::vector<double>{2, 3, 5}) == 0.0);
    CHECK_FALSE(paired_t_test(std::vector{1.0}, std::vector{2.0}));
    CHECK_FALSE(paired_t_test(std::vector<double>{1, NAN}, std::vector<double>{2, 3}));
}

TEST_CASE("runs that share a row are averaged over seeds, and the best is marked") {
    CHECK(cells(four, "columns: [perplexity, bits]") ==
          Lines{{"a", "2", "11.00 ± 1.00", "2.090"}, {"b", "2", "!8.00 ± 0.00", "2.090"}});
    CHECK(cells(four, "{rows: method, columns: [{value: perplexity, best: high, digits: 0, error: none}]}") ==
          Lines{{"a", "!11"}, {"b", "8"}});
    CHECK(cells(four,
                "{rows: [method, seed], columns: {value: perplexity, error: items}, sort: [-seed, "
                "perplexity]}") == Lines{{"b", "2", "!8.00 ± 0.25"},
                                         {"a", "2", "12.00 ± 0.25"},
                                         {"b", "1", "!8.00 ± 0.25"},
                                         {"a", "1", "10.00 ± 0.25"}});
}

TEST_CASE("sections have bests of their own and stay together") {
    auto runs = four;
    for (Run& run : runs) run.seed = 0;
    runs[1].bits = runs[3].bits = 3;
    CHECK(cells(runs, "{rows: [bits, method], sections: bits, columns: perplexity, sort: perplexity}") ==
          Lines{{"2", "b", "!8.00"}, {"2", "a", "10.00"}, {"3", "b", "!8.00"}, {"3", "a", "12.00"}});
}

TEST_CASE("a pivot's values stand side by side") {
    auto runs = four;
    for (Run& run : runs) run.seed = 0;
    runs[1].bits = runs[3].bits = 3;
    CHECK(cells(runs, "{rows: method, pivot: bits, columns: [perplexity, bytes]}") ==
          Lines{{"a", "10.00", "59,269,263", "12.00", "59,269,263"},
                {"b", "!8.00", "59,269,263", "!8.00", "59,269,263"}});
    runs.pop_back();
    CHECK(cells(runs, "{rows: method, pivot: bits, columns: perplexity}") ==
          Lines{{"a", "10.00", "12.00"}, {"b", "!8.00", "-"}});
}

TEST_CASE("models of one run are rows; the original is never the best") {
    CHECK(cells({four[0], four[2]},
                "{models: [original, compressed], rows: [method, model], columns: [perplexity, bits, kl]}") ==
          Lines{{"a", "original", "5.00", "5.000", "-"},
                {"a", "compressed", "10.00", "2.090", "!0.500"},
                {"b", "original", "5.00", "5.000", "-"},
                {"b", "compressed", "!8.00", "2.090", "!0.500"}});
    CHECK(cells(four,
                "{models: original, rows: model, columns: {value: perplexity, error: items}, names: "
                "{original: full precision}}") == Lines{{"full precision", "5.00 ± 0.50"}});
}

TEST_CASE("filters, keys of the spec, and places in the result") {
    CHECK(cells(four,
                "{where: {method: b, seed: [1, 3]}, rows: [compress.solver, compress.bits], columns: "
                "[seconds.learn, memory, "
                "footprint.compressed_weights]}") == Lines{{"b", "2", "3", "2", "100.000"}});
    CHECK_THAT(problem(four, "where: {method: c}"), Contains("excludes all 4"));
    CHECK_THAT(problem(four, "rows: methods"),
               Contains("no run has a \"methods\", did you mean \"method\"?"));
    CHECK_THAT(problem(four, "{columns: perplexity, sort: kl}"), Contains("sort: \"kl\" is neither"));
    CHECK_THAT(problem(four, "columns: perplexitee"), Contains("no run has a value \"perplexitee\""));
}

TEST_CASE("deltas to a baseline, with significance over items or seeds") {
    auto runs = four;
    runs[0].items = runs[1].items = {2.0, 2.5, 3.5, 5.0, 9.0};
    runs[2].items = runs[3].items = {1.0, 1.4, 2.6, 4.0, 8.0};
    const std::string columns =
        "columns: [{value: perplexity, versus: difference}, {value: perplexity, versus: ratio}, {value: "
        "perplexity, versus: p}]";
    CHECK(cells(runs, "{rows: method, baseline: {method: a}, " + columns + "}") ==
          Lines{{"a", "-", "-", "-"}, {"b", "-3.00**", "0.73", "< 0.0001"}});
    CHECK(cells(four, "{rows: method, baseline: {method: a}, " + columns + "}") ==
          Lines{{"a", "-", "-", "-"}, {"b", "-3.00", "0.73", "0.2048"}});  // pairs of seeds: -2, -4
    CHECK_THAT(problem(four, "{rows: method, " + columns + "}"), Contains("baseline"));
    CHECK_THAT(problem(four, "{rows: method, baseline: {bits: 2}, " + columns + "}"),
               Contains("\"bits\" is no key of the rows"));
}

TEST_CASE("figures of different protocols do not stand in one column, and the runs are named") {
    auto runs = four;
    runs[2].context = 512;
    const std::string message = problem(runs, "columns: perplexity");
    CHECK_THAT(message, Contains("do not compare") && Contains("context (2048 and 512)") && Contains("/r1") &&
                            Contains("/r3"));
    CHECK_THAT(problem(runs, "columns: kl"), Contains("do not compare"));
    CHECK(cells(runs, "{where: {method: a}, columns: perplexity, rows: method}") ==
          Lines{{"a", "11.00 ± 1.00"}});
    CHECK(cells(runs, "{columns: bits, rows: method}").size() == 2);
}

TEST_CASE("runs that differ in more than their seed are not averaged") {
    auto runs = four;
    runs[1].steps = 6;
    const std::string message = problem(runs, "columns: perplexity");
    CHECK_THAT(message, Contains("compress.steps") && Contains("/r1") && Contains("/r2"));
    CHECK(cells(runs, "{columns: perplexity, rows: [method, compress.steps]}").size() == 3);
}

TEST_CASE("tables as text: what is special is escaped, and every row names its runs") {
    const test::TemporaryDirectory folder;
    auto runs = four;
    for (Run& run : runs)
        if (run.method == "a") run.method = "a_1|<&>%";
    write_runs(folder.path(), runs);
    const auto table =
        make_table(spec_of("{title: T_1, rows: method, columns: perplexity}"), read_runs({folder.path()}));
    const std::string first = (folder.path() / "r1").string();

    CHECK_THAT(to_markdown(table), Contains("| a_1\\|<&>% |    11.00 ± 1.00 |") &&
                                       Contains("**8.00 ± 0.00**") && Contains(first));
    CHECK_THAT(to_latex(table),
               Contains("a\\_1|\\textless{}\\&\\textgreater{}\\% & 11.00 $\\pm$ 1.00 \\\\") &&
                   Contains("\\textbf{8.00 $\\pm$ 0.00}") && Contains("\\caption{T\\_1}") &&
                   Contains("% " + first));
    CHECK_THAT(to_csv(table), Contains("method,perplexity,\"perplexity, standard error\",runs\r\n") &&
                                  Contains("a_1|<&>%,11,1," + first + " "));
    CHECK_THAT(to_html(table), Contains("<td class=\"key\">a_1|&lt;&amp;&gt;%</td>") &&
                                   Contains("data-value=\"11\" title=\"" + first) &&
                                   Contains("<b>8.00 ± 0.00</b>"));
    CHECK_THAT(to_text(table), Contains("b         8.00 ± 0.00 <"));
}

TEST_CASE("runs are found below directories, by labels of paths, and once each") {
    const test::TemporaryDirectory folder;
    write_runs(folder.path() / "block/near", {four[0]});
    std::filesystem::remove(folder.path() / "block/near/x.sweep.json");
    write_runs(folder.path() / "layer/far", {four[2]});
    std::filesystem::remove(folder.path() / "layer/far/x.sweep.json");
    const auto runs =
        read_runs({folder.path(), folder.path() / "block/near/r1/"}, "{objective}/{estimator}/*");
    REQUIRE(runs.size() == 2);
    CHECK(to_string(runs[0].labels) == "objective=block estimator=near");
    CHECK(title_of(read_runs({folder.path() / "layer/far/r3/"}).front()) == "r3");
    CHECK_THROWS_WITH(read_runs({folder.path()}, "{objective}/*"), Contains("does not fit"));
    CHECK_THROWS_WITH(read_runs({folder.path() / "nowhere"}), Contains("neither"));
    std::filesystem::create_directory(folder.path() / "empty");
    CHECK_THROWS_WITH(read_runs({folder.path() / "empty"}), Contains("no finished run"));
    write_file(folder.path() / "bad/result.json", "{\"version\": 1");
    CHECK_THROWS_WITH(read_runs({folder.path()}), Contains("bad/result.json"));
    write_file(folder.path() / "bad/result.json", "[]");
    CHECK_THROWS_WITH(read_runs({folder.path()}), Contains("not a result of jlcm-run"));
}

namespace {

/// A run of one file, its result as `change` leaves it.
RunRecord changed(const std::filesystem::path& folder, const Run& run,
                  const std::function<void(json&)>& change) {
    write_runs(folder, {run});
    const auto path = folder / run.name / "result.json";
    json result = json::parse(read_file(path));
    change(result);
    write_file(path, result.dump());
    return read_runs({folder / run.name}).front();
}

}  // namespace

TEST_CASE("figures that are not finite are shown as such, are never the best, and come last") {
    const test::TemporaryDirectory folder;
    std::vector<RunRecord> runs;
    runs.push_back(changed(folder.path(), {.name = "nan"}, [](json& result) {
        json& figures = result["evaluations"][0]["models"]["compressed"];
        figures["value"] = nullptr;
        figures["kl"] = nullptr;
        figures["not_finite"] = {{"value", "nan"}, {"kl", "inf"}};
    }));
    runs.push_back(changed(folder.path(), {.name = "old"}, [](json& result) {
        result["evaluations"][0]["models"]["compressed"]["value"] = nullptr;
    }));
    runs.push_back(changed(folder.path(), {.name = "diverged"}, [](json& result) {
        result["diverged"] = {
            {"stage", "learn"}, {"block", 3}, {"step", 17}, {"what", "the loss"}, {"value", "nan"}};
        result["footprint"] = nullptr;
        result["artifact_sha256"] = nullptr;
        result["evaluations"] = json::array();
    }));
    runs.push_back(changed(folder.path(), {.name = "well"}, [](json&) {}));
    runs.push_back(changed(folder.path(), {.name = "worse", .perplexity = 11}, [](json&) {}));
    for (const std::string sort : {"perplexity", "-perplexity"}) {
        const auto table =
            make_table(spec_of("{rows: run, columns: [bits, perplexity, kl], sort: " + sort + "}"), runs);
        Lines shown;
        for (const TableRow& row : table.rows) {
            auto& line = shown.emplace_back();
            for (const TableCell& cell : row.cells)
                line.push_back(cell.is_best ? "!" + cell.text : cell.text);
        }
        Lines expected{{"well", "2.090", "!10.00", "!0.500"}, {"worse", "2.090", "11.00", "!0.500"}};
        if (sort.front() == '-') std::swap(expected[0], expected[1]);
        expected.insert(expected.end(), {{"nan", "2.090", "nan", "inf"},
                                         {"old", "2.090", "nan", "!0.500"},
                                         {"diverged", "diverged", "diverged", "diverged"}});
        CHECK(shown == expected);
        CHECK_THAT(to_csv(table), Contains("nan"));
        CHECK(std::isnan(*table.rows.back().cells.back().value));
    }
    CHECK_THAT(run_table(runs[2].result), Contains("diverged in learn, block 3, step 17"));
    CHECK_THAT(report_page("Runs", runs), Contains("learning diverged"));
    // A mean over seeds of which one is not finite is none.
    CHECK(make_table(spec_of("{rows: compress.bits, columns: perplexity, where: {run: [nan, nan]}}"), runs)
              .rows.front()
              .cells.back()
              .text == "nan");
}

TEST_CASE("evaluations of one title are told apart by what differs, and repetitions count once") {
    const test::TemporaryDirectory folder;
    const auto twice = [](json& result) {
        json second = result["evaluations"][0];
        second["protocol"]["context"] = 512;
        second["protocol"]["tokens_sha256"] = "b";
        second["models"]["compressed"]["value"] = 12.0;
        json third = result["evaluations"][0];
        result["evaluations"].push_back(second);
        result["evaluations"].push_back(third);
    };
    const RunRecord run = changed(folder.path(), {.name = "r"}, twice);
    const auto titles = [](const RunRecord& of) {
        std::vector<std::string> all;
        for (const json& each : of.result.at("evaluations")) all.push_back(each.at("title"));
        return all;
    };
    CHECK(titles(run) ==
          std::vector<std::string>{"perplexity, text, context 2048", "perplexity, text, context 512"});
    const auto table = make_table(spec_of("{}"), {run});
    CHECK(table.columns.size() == 1 + 2 + 2 * 3);
    CHECK_THAT(to_text(table), Contains("perplexity, text, context 512") && Contains("12.00"));
    CHECK_THAT(report_page("Runs", {run}), Contains("perplexity, text, context 512"));
    CHECK_THROWS_WITH(make_table(spec_of("columns: perplexity"), {run}),
                      Contains("context 2048\"") && Contains("context 512\"") && Contains("--evaluation"));
    CHECK(make_table(spec_of("columns: {value: perplexity, evaluation: context 512}"), {run})
              .rows[0]
              .cells[1]
              .text == "12.00");

    // The same names in a run that has only one of them, and in none that stands alone.
    write_runs(folder.path() / "other", {{.name = "s"}});
    const auto both = read_runs({folder.path() / "r", folder.path() / "other/s"});
    CHECK(titles(both[1]) == std::vector<std::string>{"perplexity, text, context 2048"});
    CHECK(titles(read_runs({folder.path() / "other/s"}).front()) ==
          std::vector<std::string>{"perplexity, text"});

    // One title within another is not mistaken for it.
    const RunRecord within = changed(folder.path(), {.name = "w"}, [](json& result) {
        json second = result["evaluations"][0];
        second["title"] = "perplexity, text, second half";
        result["evaluations"].push_back(second);
    });
    CHECK(make_table(spec_of("{}"), {within}).columns.size() == 1 + 2 + 2 * 3);

    // Several figures under one protocol: numbered.
    const RunRecord same = changed(folder.path(), {.name = "same"}, [](json& result) {
        json second = result["evaluations"][0];
        second["models"]["compressed"]["value"] = 12.0;
        result["evaluations"].push_back(second);
    });
    CHECK(titles(same) == std::vector<std::string>{"perplexity, text", "perplexity, text, again 2"});
}

TEST_CASE("records of evaluations that nobody here knows are shown with what they have") {
    const test::TemporaryDirectory folder;
    const std::vector<json> protocols{
        nullptr,
        json::object(),
        json::array({1, 2}),
        "words",
        {{"unit", "bytes"}},
        {{"text", 5}, {"text_sha256", nullptr}, {"windows", "many"}, {"bos", 1}}};
    for (const json& protocol : protocols) {
        const RunRecord run = changed(folder.path(), {.name = "r"}, [&](json& result) {
            json& evaluation = result["evaluations"][0];
            evaluation["protocol"] = protocol;
            evaluation["title"] = "points";
            evaluation["models"]["compressed"] = {{"value", 3}, {"acc", "high"}, {"minimum", json::array()}};
            for (const char* key : {"stages", "seed"}) result.erase(key);
        });
        CHECK(make_table(spec_of("{}"), {run}).rows[0].cells[3].text == "3.00");
        CHECK_THAT(report_page("Runs", {run}), Contains("3.00"));
        CHECK_THAT(run_table(run.result), Contains("3.00"));
        CHECK_THAT(stage_table(run.result), Contains("stage"));
    }
    const auto broken = [&](const std::function<void(json&)>& change) {
        try {
            (void)changed(folder.path(), {.name = "b"}, change);
        } catch (const Error& error) {
            return std::string(error.kind() == ErrorKind::input ? error.what() : "another kind");
        }
        return std::string("nothing");
    };
    CHECK_THAT(broken([](json& result) { result["evaluations"][0].erase("title"); }), Contains("no title"));
    CHECK_THAT(broken([](json& result) { result["evaluations"][0]["models"] = 1; }),
               Contains("no figures by model"));
    CHECK_THAT(broken([](json& result) { result["evaluations"] = 1; }), Contains("no list"));
    CHECK_THAT(broken([](json& result) { result["stages"] = {1}; }), Contains("stages"));
    CHECK_THAT(broken([](json& result) { result["footprint"] = nullptr; }), Contains("no footprint"));
    CHECK_THAT(broken([](json& result) { result["identity"] = 1; }), Contains("no spec"));
}

TEST_CASE("words with line breaks, control characters and marks of other languages break no table") {
    CHECK(printable("a\nb\tc\r\x1b[31m\x7f") == "a\\nb\\tc\\r\\x1b[31m\\x7f");
    CHECK(printable("\u0085 \u2028 \u202e ü") == "\\x85 \\u2028 \\u202e ü");
    CHECK(printable("bad \xff byte") == "bad \uFFFD byte");
    CHECK(markdown_text("a|b <i> &amp; 1 < 2 & \\|") == "a\\|b \\<i> \\&amp; 1 < 2 & \\\\\\|");
    const test::TemporaryDirectory folder;
    const std::string label = "two\nlines|<b>\x1b[31m--> \\";
    auto runs = four;
    for (Run& run : runs)
        if (run.method == "a") run.method = label;
    // The spec of these runs is YAML, in which the label is not needed.
    write_runs(folder.path(), four);
    json sweep = json::parse(read_file(folder.path() / "x.sweep.json"));
    for (json& run : sweep["runs"])
        if (run["labels"]["method"] == "a") run["labels"]["method"] = label;
    write_file(folder.path() / "x.sweep.json", sweep.dump());
    const auto table = make_table(spec_of("{title: \"T\\nT\", rows: method, columns: perplexity}"),
                                  read_runs({folder.path()}));
    const auto lines_of = [](const std::string& text) { return std::ranges::count(text, '\n'); };
    const auto plain = make_table(spec_of("{title: T, rows: compress.solver, columns: perplexity}"),
                                  read_runs({folder.path()}));
    for (const auto format : {to_markdown, to_latex, to_text}) {
        CHECK(lines_of(format(table)) == lines_of(format(plain)));
        CHECK_THAT(format(table), !Contains("\x1b"));
    }
    CHECK_THAT(to_markdown(table), Contains("| two\\nlines\\|\\<b>\\x1b[31m--> \\ |"));
    CHECK_THAT(to_csv(table), Contains("\"two\nlines|<b>") || Contains("two\nlines"));
    CHECK_THAT(to_html(table), Contains("two\nlines|&lt;b&gt;\\x1b[31m--&gt; \\</td>"));
}
