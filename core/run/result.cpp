#include "core/run/result.hpp"

#include "core/codebook/artifact.hpp"

namespace jlcm {
namespace {

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
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
        if (!figures.more.is_null()) json.update(figures.more);
        record["models"][models[m]] = json;
        if (models[m] == "original") record["original"] = figures.value;
        if (models[m] != "compressed") continue;
        record["compressed"] = figures.value;
        record["stderr"] = or_null(figures.standard_error);
        record["kl"] = or_null(figures.kl);
        record["agreement"] = or_null(figures.agreement);
    }
    return record;
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
    const std::uint64_t before = source_bytes(source_path);
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

nlohmann::json model_record(const Model& model, const std::string& source) {
    const Checkpoint& checkpoint = model.checkpoint();
    nlohmann::json record{{"source", source},
                          {"name", checkpoint.extra.value("name", source)},
                          {"architecture", checkpoint.config.at("model_type")},
                          {"description", checkpoint.description},
                          {"sha256", checkpoint.sha256},
                          {"full_precision", "what the source's files decode to"}};
    if (const auto& tokenizer = model.input().tokenizer) record["tokenizer_sha256"] = tokenizer->hash();
    return record;
}

}  // namespace jlcm
