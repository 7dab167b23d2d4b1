#include "core/report/run_table.hpp"

#include "core/base/files.hpp"
#include "core/report/printable.hpp"
#include "core/report/run_records.hpp"
#include "core/run/result.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

namespace jlcm {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

std::string number(const json& record, const char* key, const char* format) {
    const auto value = recorded_figure(record, key);
    return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

std::string with_error(const json& model, const char* format) {
    const std::string value = number(model, "value", format);
    const std::string error = number(model, "stderr", format);
    return error == "-" ? value : value + " ± " + error;
}

std::string text_of(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The first digits of the hash of what was read; empty where the protocol has none.
std::string hash_of_data(const json& protocol) {
    constexpr std::array<std::pair<const char*, const char*>, 3> names{
        {{"task_sha256", ""}, {"images_sha256", ""}, {"text_sha256", "text "}}};
    for (const auto& [key, what] : names)
        if (const auto hash = protocol.find(key); hash != protocol.end() && hash->is_string())
            return fmt::format("{}SHA-256 {}", what, hash->get<std::string>().substr(0, 12));
    return {};
}

/// How much was measured, in the words of the evaluations that jlcm has; of others every value that is no
/// hash.
std::vector<std::string> amounts_of(const json& protocol) {
    std::vector<std::string> amounts;
    const auto add = [&](const char* key, const std::string& what) {
        if (const auto count = protocol.find(key); count != protocol.end() && count->is_number_integer())
            amounts.push_back(fmt::format("{} {}", count->dump(), what));
    };
    add("items", protocol.contains("images") ? "images" : "items");
    add("windows", "windows");
    add("tokens_scored", "tokens scored");
    if (const auto bos = protocol.find("bos");
        bos != protocol.end() && bos->is_boolean() && protocol.contains("windows"))
        amounts.emplace_back(bos->get<bool>() ? "BOS" : "no BOS");
    if (!amounts.empty()) return amounts;
    for (const auto& [key, value] : protocol.items())
        if (value.is_primitive() && !key.ends_with("_sha256"))
            amounts.push_back(fmt::format("{} {}", key, text_of(value)));
    return amounts;
}

std::string protocol_line(const json& record) {
    const json protocol = record.value("protocol", json::object());
    std::string line = record.at("title").get<std::string>();
    if (!protocol.is_object()) return printable(line);
    const auto amounts = amounts_of(protocol);
    if (!amounts.empty()) line += fmt::format(": {}", fmt::join(amounts, ", "));
    if (const std::string hash = hash_of_data(protocol); !hash.empty())
        line += (amounts.empty() ? ": " : "; ") + hash;
    return printable(line);
}

/// A figure beside an evaluation's own, shown where its record has it.
struct Column {
    const char* key;
    const char* title;
    const char* format;
};
constexpr std::array columns{
    Column{"top5", "top-5 %", "{:.2f}"},          Column{"acc", "acc %", "{:.2f}"},
    Column{"perplexity", "perplexity", "{:.2f}"}, Column{"cosine", "cosine", "{:.4f}"},
    Column{"minimum", "minimum", "{:.4f}"},       Column{"kl", "KL", "{:.4f}"},
    Column{"kl_median", "median KL", "{:.4f}"},   Column{"kl_p99", "99 % KL", "{:.4f}"},
    Column{"agreement", "agreement", "{:.4f}"}};

/// Those of an evaluation; what the metric is already needs no second column.
std::vector<Column> columns_of(const json& record) {
    std::vector<Column> found;
    for (const Column& column : columns)
        if (record.at("metric") != column.title &&
            std::ranges::any_of(record.at("models"), [&](const json& model) {
                return recorded_figure(model, column.key).has_value();
            }))
            found.push_back(column);
    return found;
}

/// Of an evaluation's own figure: those that are near 1, or near 0, want more decimals.
const char* format_of(const std::string& metric) {
    if (metric == "relative squared error") return "{:.5f}";
    return metric == "cosine" ? "{:.4f}" : "{:.2f}";
}

/// What each model's row shows, and the header of that.
Row figures(const json& record, const char* model) {
    const json& own = record.at("models").at(model);
    Row row{with_error(own, format_of(record.at("metric")))};
    for (const Column& column : columns_of(record)) {
        const std::string floor = std::string("noise_floor_") + column.key;
        row.push_back(own.contains(floor) ? number(own, floor.c_str(), column.format) + " (floor)"
                                          : number(own, column.key, column.format));
    }
    return row;
}

Row figures_header(const json& record) {
    Row row{record.at("metric").get<std::string>()};
    for (const Column& column : columns_of(record)) row.emplace_back(column.title);
    return row;
}

/// Where learning diverged, as a sentence.
std::string diverged_line(const json& diverged) {
    std::string where = diverged.value("stage", "learning");
    if (diverged.contains("block")) where += ", block " + diverged.at("block").dump();
    return fmt::format("diverged in {}, step {}: {} is {}. There is no artifact and no figure", where,
                       diverged.value("step", std::int64_t{0}), diverged.value("what", "the loss"),
                       diverged.value("value", "nan"));
}

/// A file's or folder's name of where a model came from.
std::string source_name(const json& model) {
    return without_last_slash(model.at("source").get<std::string>()).filename().string();
}

}  // namespace

std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string markdown_table(const Row& header, const std::vector<Row>& rows, std::size_t keys) {
    std::vector<Row> lines{header};
    lines.insert(lines.end(), rows.begin(), rows.end());
    std::vector<std::size_t> widths(header.size(), 0);
    for (Row& row : lines)
        for (std::size_t i = 0; i < row.size(); ++i) {
            row[i] = markdown_text(row[i]);
            widths[i] = std::max(widths[i], width_of(row[i]));
        }
    std::string text;
    for (std::size_t r = 0; r < lines.size(); ++r) {
        for (std::size_t i = 0; i < lines[r].size(); ++i) {
            const std::string space(widths[i] - width_of(lines[r][i]), ' ');
            text += (i == 0 ? "| " : " | ") + (i < keys ? lines[r][i] + space : space + lines[r][i]);
        }
        text += " |\n";
        if (r > 0) continue;
        for (std::size_t i = 0; i < widths.size(); ++i)
            text += "|" + std::string(widths[i] + 1, '-') + (i < keys ? "-" : ":");
        text += "|\n";
    }
    return text;
}

std::string stage_table(const json& result) {
    const json& stages = result.at("stages");
    const bool is_cached =
        std::ranges::any_of(stages, [](const json& each) { return each.contains("cached"); });
    Row header{"stage", "seconds", "peak memory, GB"};
    if (is_cached) header.emplace_back("seconds spared by the stage cache");
    std::vector<Row> rows;
    for (const json& each : stages) {
        const auto memory = recorded_figure(each, "peak_memory_bytes");
        rows.push_back({each.at("name"), number(each, "seconds", "{:.1f}"),
                        memory ? fmt::format("{:.2f}", *memory / 1e9) : "-"});
        if (is_cached)
            rows.back().push_back(each.contains("cached") ? number(each.at("cached"), "seconds", "{:.1f}")
                                                          : "-");
    }
    return markdown_table(header, rows);
}

std::string run_table(const json& result) {
    const json source = result.value("model", json::object());
    std::string text = printable(fmt::format("{}: {} ({}); its full precision is {}", text_at(result, "name"),
                                             text_at(source, "name"), text_at(source, "description"),
                                             text_at(source, "full_precision"))) +
                       "\n";
    if (const auto diverged = result.find("diverged"); diverged != result.end())
        return text + "\n" + printable(diverged_line(*diverged)) + "\n";
    const json& footprint = result.at("footprint");
    const json method = result.value("method", json::object());
    const std::string bits = number(footprint, "linear_bits_per_weight", "{:.3f}");
    const std::string bytes = number(footprint, "file_bytes", "{:.0f}");
    const std::string original_bits = number(footprint, "source_linear_bits_per_weight", "{:.3f}");
    const std::string original_bytes = number(footprint, "source_bytes", "{:.0f}");
    const std::string solver = text_at(method, "solver");
    const bool on_learned_inputs =
        text_at(method, "solver_inputs") == "compressed" && method.value("learned", json()) == true;

    if (result.at("evaluations").empty())
        text += fmt::format("\n{} bits per linear weight, {} bytes\n", bits, bytes);
    for (const json& record : result.at("evaluations")) {
        text += "\n" + protocol_line(record) + "\n\n";
        std::vector<Row> rows;
        const auto add = [&](const std::string& name, const std::string& row_bits,
                             const std::string& row_bytes, const char* model) {
            if (!record.at("models").contains(model)) return;
            Row row{name, row_bits, row_bytes};
            std::ranges::move(figures(record, model), std::back_inserter(row));
            rows.push_back(std::move(row));
        };
        add("original", original_bits, original_bytes, "original");
        add(fmt::format("{} alone{}", solver, on_learned_inputs ? " (on learned blocks' inputs)" : ""), bits,
            bytes, "solver_only");
        add("block learning alone", bits, bytes, "learned_only");
        add("this run", bits, bytes, "compressed");
        Row header{"model", "bits per linear weight", "file bytes"};
        std::ranges::move(figures_header(record), std::back_inserter(header));
        text += markdown_table(header, rows);
    }
    return text;
}

std::string evaluation_table(const json& record) {
    std::string text = protocol_line(record) + "\n\n";
    std::vector<Row> rows;
    const auto add = [&](const char* model, const char* source, const char* remark) {
        if (!record.at("models").contains(model)) return;
        Row row{record.contains(source) ? source_name(record.at(source)) + remark : model};
        std::ranges::move(figures(record, model), std::back_inserter(row));
        rows.push_back(std::move(row));
    };
    add("original", "original_model", " (original)");
    add("compressed", "model", "");
    Row header{"model"};
    std::ranges::move(figures_header(record), std::back_inserter(header));
    return text + markdown_table(header, rows);
}

}  // namespace jlcm
