#include "core/codebook/compressed_model.hpp"

#include "core/codebook/artifact.hpp"

#include <set>

namespace jlcm {
namespace {

std::set<std::string> names_of(const std::map<std::string, CompressedMatrix>& matrices) {
    std::set<std::string> names;
    for (const auto& [name, matrix] : matrices) names.insert(name);
    return names;
}

}  // namespace

std::map<ParameterId, std::string> compressed_parameters(const Graph& graph,
                                                         const std::map<std::string, Shape>& matrices) {
    std::map<ParameterId, std::string> result;
    std::set<std::string> left;
    for (const auto& [name, shape] : matrices) left.insert(name);
    const auto& parameters = graph.parameters();
    for (ParameterId id = 0; id < static_cast<ParameterId>(parameters.size()); ++id) {
        const Parameter& parameter = parameters[static_cast<std::size_t>(id)];
        const auto found = matrices.find(parameter.name);
        if (found == matrices.end()) continue;
        require(parameter.shape == found->second, "{}: a matrix of {}, expected {}", parameter.name,
                to_string(found->second), to_string(parameter.shape));
        result.emplace(id, parameter.name);
        left.erase(parameter.name);
    }
    require(left.empty(), "the model has no parameter of the name of the compressed {}",
            fmt::join(left, ", "));
    return result;
}

std::shared_ptr<const Model> CompressedModel::uncompressed_part(const Artifact& artifact) {
    return std::make_shared<const Model>(static_cast<const Checkpoint&>(artifact),
                                         names_of(artifact.matrices));
}

CompressedModel::CompressedModel(const Artifact& artifact, std::shared_ptr<const Model> base)
    : base_(std::move(base)) {
    std::map<std::string, Shape> shapes;
    for (const auto& [name, matrix] : artifact.matrices)
        shapes[name] = {matrix.layout.rows, matrix.layout.cols};
    for (const auto& [id, name] : compressed_parameters(graph(), shapes))
        matrices_.emplace(id, artifact.matrices.at(name));
}

Tensor CompressedModel::weight(ParameterId id) const {
    if (const auto found = matrices_.find(id); found != matrices_.end()) return decode(found->second);
    if (const auto found = dense_.find(id); found != dense_.end()) return found->second.clone();
    return base_->weight(id);
}

std::shared_ptr<const PackedWeight> CompressedModel::packed(ParameterId id) const {
    if (const auto found = matrices_.find(id); found != matrices_.end())
        return make_packed_weight(found->second);
    return dense_.contains(id) ? nullptr : base_->packed(id);
}

void CompressedModel::copy_to(CompressedModel& other) const {
    for (const auto& [id, matrix] : matrices_) other.matrices_[id] = matrix.clone();
    for (const auto& [id, tensor] : dense_) other.dense_[id] = tensor.clone();
}

}  // namespace jlcm
