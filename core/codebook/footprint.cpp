#include "core/codebook/footprint.hpp"

namespace jlcm {
namespace {

double bits(std::uint64_t bytes, std::int64_t weights) {
    return weights == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
}

}  // namespace

Footprint& Footprint::operator+=(const Footprint& other) {
    mapping += other.mapping;
    codebooks += other.codebooks;
    scales += other.scales;
    runs += other.runs;
    permutation += other.permutation;
    outliers += other.outliers;
    padding += other.padding;
    uncompressed += other.uncompressed;
    tokenizer += other.tokenizer;
    metadata += other.metadata;
    return *this;
}

nlohmann::json Footprint::to_json() const {
    return {{"mapping", mapping},  {"codebooks", codebooks},       {"scales", scales},
            {"runs", runs},        {"permutation", permutation},   {"outliers", outliers},
            {"padding", padding},  {"uncompressed", uncompressed}, {"tokenizer", tokenizer},
            {"metadata", metadata}};
}

double TensorFootprint::bits_per_weight() const {
    return bits(bytes.total(), weights);
}

double ArtifactFootprint::linear_bits_per_weight() const {
    return bits(bytes.compressed(), compressed_weights);
}

double ArtifactFootprint::file_bits_per_weight() const {
    return bits(bytes.total(), weights);
}

nlohmann::json ArtifactFootprint::to_json() const {
    auto list = nlohmann::json::array();
    for (const auto& tensor : tensors) {
        list.push_back({{"name", tensor.name},
                        {"kind", tensor.kind},
                        {"weights", tensor.weights},
                        {"compressed", tensor.compressed},
                        {"bits_per_weight", tensor.bits_per_weight()},
                        {"bytes", tensor.bytes.to_json()}});
    }
    return {{"file_bytes", bytes.total()},
            {"weights", weights},
            {"compressed_weights", compressed_weights},
            {"linear_bits_per_weight", linear_bits_per_weight()},
            {"file_bits_per_weight", file_bits_per_weight()},
            {"bytes", bytes.to_json()},
            {"tensors", std::move(list)}};
}

}  // namespace jlcm
