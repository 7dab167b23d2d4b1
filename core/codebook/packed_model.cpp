#include "core/codebook/packed_model.hpp"

#include "core/backend/decoded_weight.hpp"
#include "core/codebook/compressed_model.hpp"

#include <set>

namespace jlcm {
namespace {

std::set<std::string> names_of(const MappedArtifact& artifact) {
    std::set<std::string> names;
    for (const auto& [name, matrix] : artifact.matrices) names.insert(name);
    return names;
}

}  // namespace

PackedModel::PackedModel(const MappedArtifact& artifact)
    : base_(static_cast<const Checkpoint&>(artifact), names_of(artifact)) {
    std::map<std::string, Shape> shapes;
    std::map<std::string, std::shared_ptr<const PackedWeight>> weights;
    for (const auto& [name, matrix] : artifact.matrices) {
        shapes[name] = {matrix.values.layout.rows, matrix.values.layout.cols};
        weights[name] = make_packed_weight(matrix);
    }
    for (const auto& [id, name] : compressed_parameters(graph(), shapes)) matrices_[id] = weights.at(name);
}

Tensor PackedModel::weight(ParameterId id) const {
    const auto found = matrices_.find(id);
    if (found == matrices_.end()) return base_.weight(id);
    return dense_of(BoundWeight(found->second, DType::f32));
}

std::shared_ptr<const PackedWeight> PackedModel::packed(ParameterId id) const {
    const auto found = matrices_.find(id);
    return found == matrices_.end() ? base_.packed(id) : found->second;
}

}  // namespace jlcm
