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

std::shared_ptr<const Model> CompressedModel::uncompressed_part(const Artifact& artifact) {
    return std::make_shared<const Model>(static_cast<const Checkpoint&>(artifact),
                                         names_of(artifact.matrices));
}

CompressedModel::CompressedModel(const Artifact& artifact, std::shared_ptr<const Model> base)
    : base_(std::move(base)) {
    std::set<std::string> left = names_of(artifact.matrices);
    const auto& parameters = base_->graph().parameters();
    for (ParameterId id = 0; id < static_cast<ParameterId>(parameters.size()); ++id) {
        const Parameter& parameter = parameters[static_cast<std::size_t>(id)];
        const auto found = artifact.matrices.find(parameter.name);
        if (found == artifact.matrices.end()) continue;
        const Layout& layout = found->second.layout;
        require(parameter.shape == Shape({layout.rows, layout.cols}), "{}: a matrix of {} x {}, expected {}",
                parameter.name, layout.rows, layout.cols, to_string(parameter.shape));
        matrices_.emplace(id, found->second);
        left.erase(parameter.name);
    }
    require(left.empty(), "the model has no parameter of the name of the compressed {}",
            fmt::join(left, ", "));
}

Tensor CompressedModel::weight(ParameterId id) const {
    if (const auto found = matrices_.find(id); found != matrices_.end()) return decode(found->second);
    if (const auto found = dense_.find(id); found != dense_.end()) return found->second.clone();
    return base_->weight(id);
}

void CompressedModel::copy_to(CompressedModel& other) const {
    for (const auto& [id, matrix] : matrices_) other.matrices_[id] = matrix.clone();
    for (const auto& [id, tensor] : dense_) other.dense_[id] = tensor.clone();
}

}  // namespace jlcm
