#include "core/report/run_table.hpp"

#include "core/base/files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

namespace jlcm {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

std::string number(const json& record, const char* key, const char* format) {
    if (!record.contains(key) || record.at(key).is_null()) return "-";
    return fmt::format(fmt::runtime(format), record.at(key).get<double>());
}

std::string with_error(const json& model, const char* format) {
    const std::string value = number(model, "value", format);
    const std::string error = number(model, "stderr", format);
    return error == "-" ? value : value + " ± " + error;
}

std::string protocol_line(const json& record) {
    const json& protocol = record.at("protocol");
    if (protocol.contains("task"))
        return fmt::format("{}: {} items; SHA-256 {}", record.at("title").get<std::string>(),
                           protocol.at("items").get<std::int64_t>(),
                           protocol.at("task_sha256").get<std::string>().substr(0, 12));
    if (protocol.contains("images"))
        return fmt::format("{}: {} images; SHA-256 {}", record.at("title").get<std::string>(),
                           protocol.at("items").get<std::int64_t>(),
                           protocol.at("images_sha256").get<std::string>().substr(0, 12));
    if (!protocol.contains("tokens_scored"))
        return fmt::format("{}: {} windows; text SHA-256 {}", record.at("title").get<std::string>(),
                           protocol.at("windows").get<std::int64_t>(),
                           protocol.at("text_sha256").get<std::string>().substr(0, 12));
    return fmt::format("{}: {} windows, {} tokens scored{}; text SHA-256 {}",
                       record.at("title").get<std::string>(), protocol.at("windows").get<std::int64_t>(),
                       protocol.at("tokens_scored").get<std::int64_t>(),
                       protocol.at("bos").get<bool>() ? ", BOS" : ", no BOS",
                       protocol.at("text_sha256").get<std::string>().substr(0, 12));
}

/// A figure beside an evaluation's own, shown where its record has it.
struct Column {
    const char* key;
    const char* title;
    const char* format;
};
constexpr std::array columns{Column{"top5", "top-5 %", "{:.2f}"},
                             Column{"acc", "acc %", "{:.2f}"},
                             Column{"perplexity", "perplexity", "{:.2f}"},
                             Column{"minimum", "minimum", "{:.4f}"},
                             Column{"kl", "KL", "{:.4f}"},
                             Column{"agreement", "agreement", "{:.4f}"}};

/// Those of an evaluation; what the metric is already needs no second column.
std::vector<Column> columns_of(const json& record) {
    std::vector<Column> found;
    for (const Column& column : columns)
        if (record.at("models").at("compressed").contains(column.key) && record.at("metric") != column.title)
            found.push_back(column);
    return found;
}

/// What each model's row shows, and the header of that.
Row figures(const json& record, const char* model) {
    const json& own = record.at("models").at(model);
    Row row{with_error(own, record.at("metric") == "cosine" ? "{:.4f}" : "{:.2f}")};
    for (const Column& column : columns_of(record)) row.push_back(number(own, column.key, column.format));
    return row;
}

Row figures_header(const json& record) {
    Row row{record.at("metric").get<std::string>()};
    for (const Column& column : columns_of(record)) row.emplace_back(column.title);
    return row;
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
    std::vector<std::size_t> widths;
    for (const auto& cell : header) widths.push_back(width_of(cell));
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    const auto line = [&](const Row& row) {
        std::string text;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - width_of(row[i]), ' ');
            text += (i == 0 ? "| " : " | ") + (i < keys ? row[i] + space : space + row[i]);
        }
        return text + " |\n";
    };
    std::string text = line(header);
    for (std::size_t i = 0; i < widths.size(); ++i)
        text += "|" + std::string(widths[i] + 1, '-') + (i < keys ? "-" : ":");
    text += "|\n";
    for (const Row& row : rows) text += line(row);
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
        rows.push_back({each.at("name"), number(each, "seconds", "{:.1f}"),
                        fmt::format("{:.2f}", each.at("peak_memory_bytes").get<double>() / 1e9)});
        if (is_cached)
            rows.back().push_back(each.contains("cached") ? number(each.at("cached"), "seconds", "{:.1f}")
                                                          : "-");
    }
    return markdown_table(header, rows);
}

std::string run_table(const json& result) {
    const json& footprint = result.at("footprint");
    const json& method = result.at("method");
    const std::string bits = number(footprint, "linear_bits_per_weight", "{:.3f}");
    const std::string bytes = std::to_string(footprint.at("file_bytes").get<std::int64_t>());
    const std::string original_bits = number(footprint, "source_linear_bits_per_weight", "{:.3f}");
    const std::string original_bytes = std::to_string(footprint.at("source_bytes").get<std::int64_t>());
    const std::string solver = method.at("solver").get<std::string>();
    const bool on_learned_inputs =
        method.at("solver_inputs") == "compressed" && method.at("learned").get<bool>();

    std::string text =
        fmt::format("{}: {} ({}); its full precision is {}\n", result.at("name").get<std::string>(),
                    result.at("model").at("name").get<std::string>(),
                    result.at("model").at("description").get<std::string>(),
                    result.at("model").at("full_precision").get<std::string>());
    if (result.at("evaluations").empty())
        text += fmt::format("\n{} bits per linear weight, {} bytes\n", bits, bytes);
    for (const json& record : result.at("evaluations")) {
        text += "\n" + protocol_line(record) + "\n\n";
        std::vector<Row> rows;
        const auto add = [&](const std::string& name, const std::string& row_bits,
                             const std::string& row_bytes, const char* model) {
            Row row{name, row_bits, row_bytes};
            std::ranges::move(figures(record, model), std::back_inserter(row));
            rows.push_back(std::move(row));
        };
        add("original", original_bits, original_bytes, "original");
        if (record.at("models").contains("solver_only"))
            add(fmt::format("{} alone{}", solver, on_learned_inputs ? " (on learned blocks' inputs)" : ""),
                bits, bytes, "solver_only");
        if (record.at("models").contains("learned_only"))
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
