#include "core/run/result.hpp"

#include "core/codebook/artifact.hpp"
#include "core/compress/compression_plan.hpp"
#include "core/graph/output_meaning.hpp"

#include <cmath>
#include <limits>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

constexpr const char* not_finite_key = "not_finite";

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
}

/// JSON has no NaN and no infinity: they become null, and `not_finite` says what they were.
void name_not_finite(nlohmann::json& figures) {
    auto names = nlohmann::json::object();
    for (const auto& [key, value] : figures.items()) {
        if (!value.is_number_float() || std::isfinite(value.get<double>())) continue;
        names[key] = std::isnan(value.get<double>()) ? "nan" : fmt::format("{}", value.get<double>());
        value = nullptr;
    }
    if (!names.empty()) figures[not_finite_key] = std::move(names);
}

double number_of(const std::string& name) {
    if (name == "inf") return std::numeric_limits<double>::infinity();
    if (name == "-inf") return -std::numeric_limits<double>::infinity();
    return not_a_number;
}

/// Bytes of the weight files.
std::uint64_t source_bytes(const std::filesystem::path& path) {
    if (!std::filesystem::is_directory(path)) return std::filesystem::file_size(path);
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path))
        if (entry.path().extension() == ".safetensors") bytes += entry.file_size();
    return bytes;
}

}  // namespace

nlohmann::json evaluation_record(const std::string& name, const EvaluationResult& result,
                                 const std::vector<std::string>& models) {
    ensure(models.size() == result.models.size(), "{} names for the figures of {} models", models.size(),
           result.models.size());
    nlohmann::json record{{"name", name},
                          {"title", result.title},
                          {"metric", result.metric},
                          {"higher_is_better", result.higher_is_better},
                          {"protocol", result.protocol}};
    for (std::size_t m = 0; m < models.size(); ++m) {
        const Figures& figures = result.models[m];
        nlohmann::json json{{"value", figures.value}, {"stderr", or_null(figures.standard_error)}};
        if (figures.kl) json["kl"] = *figures.kl;
        if (figures.agreement) json["agreement"] = *figures.agreement;
        ensure(figures.more.is_null() || figures.more.is_object(), "{}: further figures are no JSON object",
               name);
        if (!figures.more.is_null()) json.update(figures.more);
        name_not_finite(json);
        if (models[m] == "original") record["original"] = json.at("value");
        if (models[m] == "compressed") {
            record["compressed"] = json.at("value");
            for (const char* key : {"stderr", "kl", "agreement"})
                record[key] = json.value(key, nlohmann::json());
        }
        record["models"][models[m]] = std::move(json);
    }
    return record;
}

std::optional<double> recorded_figure(const nlohmann::json& figures, const std::string& key) {
    if (!figures.is_object()) return std::nullopt;
    const auto value = figures.find(key);
    if (value != figures.end() && value->is_number()) return value->get<double>();
    const auto names = figures.find(not_finite_key);
    if (names != figures.end() && names->is_object() && names->contains(key) && names->at(key).is_string())
        return number_of(names->at(key).get<std::string>());
    // Earlier versions wrote null alone.
    if (key == "value" && value != figures.end()) return not_a_number;
    return std::nullopt;
}

std::vector<std::string> figures_not_finite(const nlohmann::json& evaluations) {
    std::vector<std::string> found;
    for (const auto& evaluation : evaluations)
        for (const auto& [model, figures] : evaluation.at("models").items()) {
            std::string list;
            for (const auto& [key, value] : figures.items())
                if (const auto number = recorded_figure(figures, key); number && !std::isfinite(*number))
                    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", key, *number);
            if (!list.empty())
                found.push_back(fmt::format("{}: {} of the model \"{}\"",
                                            evaluation.at("title").get<std::string>(), list, model));
        }
    return found;
}

nlohmann::json predictions_record(const EvaluationResult& result, const std::vector<std::string>& models) {
    if (result.models.front().items.is_null()) return {};
    nlohmann::json record{{"title", result.title}, {"protocol", result.protocol}};
    if (!result.expected.is_null()) record["expected"] = result.expected;
    for (std::size_t m = 0; m < models.size(); ++m) record["models"][models[m]] = result.models[m].items;
    return record;
}

nlohmann::json footprint_record(const std::filesystem::path& artifact, const Model& source,
                                const std::filesystem::path& source_path,
                                const std::vector<ParameterId>& compressed) {
    const ArtifactFootprint footprint = artifact_footprint(artifact);
    double source_linear_bytes = 0;
    double linear_weights = 0;
    for (const ParameterId id : compressed) {
        source_linear_bytes += static_cast<double>(source.stored(id).bytes.size());
        linear_weights += static_cast<double>(element_count(source.stored(id).shape));
    }
    const auto file_bytes = footprint.bytes.total();
    // What other outputs need is no part of what is compressed.
    const auto& extra = source.checkpoint().extra;
    const std::uint64_t left =
        extra.contains("left_out") ? extra.at("left_out").at("bytes").get<std::uint64_t>() : 0;
    const std::uint64_t before = source_bytes(source_path) - left;
    return {
        {"linear_bits_per_weight", footprint.linear_bits_per_weight()},
        {"file_bits_per_weight", footprint.file_bits_per_weight()},
        {"file_bytes", file_bytes},
        {"bytes", footprint.bytes.to_json()},
        {"weights", footprint.weights},
        {"compressed_weights", footprint.compressed_weights},
        {"source_bytes", before},
        {"source_linear_bits_per_weight", 8.0 * source_linear_bytes / linear_weights},
        {"ratio_to_source", static_cast<double>(before) / static_cast<double>(file_bytes)},
        {"ratio_to_16_bits", 2.0 * static_cast<double>(footprint.weights) / static_cast<double>(file_bytes)}};
}

nlohmann::json uncompressed_record(const Graph& graph, const std::vector<ParameterId>& compressed) {
    auto record = nlohmann::json::array();
    for (const LeftTensor& each : left_tensors(graph, compressed))
        record.push_back({{"name", each.name},
                          {"shape", each.shape},
                          {"weights", element_count(each.shape)},
                          {"reason", each.reason}});
    return record;
}

std::vector<std::string> describe_outputs(const Model& model) {
    std::vector<std::string> lines;
    for (const GraphOutput& output : model.graph().outputs())
        lines.push_back(describe(model.graph(), output));
    const auto& extra = model.checkpoint().extra;
    if (const auto left = extra.find("left_out"); left != extra.end()) {
        const auto outputs = left->at("outputs").get<std::vector<std::string>>();
        lines.push_back(
            fmt::format("left out: {}{} weights in {} tensors, {} nodes",
                        outputs.empty() ? "" : fmt::format("outputs {}, ", fmt::join(outputs, ", ")),
                        left->at("weights").get<std::int64_t>(), left->at("tensors").size(),
                        left->at("nodes").get<std::int64_t>()));
    }
    return lines;
}

nlohmann::json model_record(const Model& model, const std::string& source) {
    const Checkpoint& checkpoint = model.checkpoint();
    nlohmann::json record{{"source", source},
                          {"name", checkpoint.extra.value("name", source)},
                          {"architecture", checkpoint.config.at("model_type")},
                          {"description", checkpoint.description},
                          {"sha256", checkpoint.sha256},
                          {"full_precision", "what the source's files decode to"}};
    for (const GraphOutput& output : model.graph().outputs())
        record["outputs"].push_back(output_record(model.graph(), output));
    if (const auto left = checkpoint.extra.find("left_out"); left != checkpoint.extra.end())
        record["left_out"] = *left;
    if (const auto& tokenizer = model.input().tokenizer) record["tokenizer_sha256"] = tokenizer->hash();
    return record;
}

}  // namespace jlcm
