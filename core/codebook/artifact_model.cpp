#include "core/codebook/artifact_model.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

/// A float32 tensor as a stored one; the bytes stay the tensor's.
StoredTensor stored(const std::string& name, const Tensor& tensor) {
    StoredTensor result;
    result.name = name;
    result.shape = tensor.shape();
    result.encoding = Encoding::f32;
    result.bytes = tensor.bytes();
    return result;
}

/// Puts what is left of the source into the order of `reordered`.
void follow(const ReorderedModel& reordered, const CompressedModel& model, Artifact& artifact) {
    const auto& parameters = model.graph().parameters();
    for (ParameterId id = 0; id < static_cast<ParameterId>(parameters.size()); ++id) {
        const Parameter& parameter = parameters[static_cast<std::size_t>(id)];
        const bool moves = !reordered.rows(id).empty() || !reordered.columns(id).empty();
        if (!moves || parameter.tied_to >= 0 || model.matrices().contains(id) || model.dense().contains(id))
            continue;
        StoredTensor& tensor = artifact.tensors.at(parameter.name);
        auto moved = reorder(tensor, reordered.rows(id), reordered.columns(id));
        tensor = std::move(moved.stored);
        artifact.owners.push_back(std::move(moved.owner));
    }
}

}  // namespace

Artifact make_artifact(const CompressedModel& model, const Checkpoint& source,
                       const ReorderedModel* reordered, nlohmann::json provenance) {
    Artifact artifact{source, {}, std::move(provenance)};
    for (const auto& [id, matrix] : model.matrices()) {
        const std::string& name = model.graph().parameter(id).name;
        artifact.matrices[name] = matrix;
        artifact.tensors.erase(name);
    }
    for (const auto& [id, tensor] : model.dense()) {
        const std::string& name = model.graph().parameter(id).name;
        const auto owner = std::make_shared<const Tensor>(tensor);
        artifact.tensors[name] = stored(name, *owner);
        artifact.owners.push_back(owner);
    }
    if (reordered != nullptr) follow(*reordered, model, artifact);
    return artifact;
}

bool is_artifact(const std::filesystem::path& path) {
    return path.extension() == ".safetensors" && std::filesystem::is_regular_file(path);
}

OpenedModel open_model(const std::string& source, const ReadOptions& options) {
    if (is_artifact(source)) {
        const Artifact artifact = read_artifact(source);
        const auto base = CompressedModel::uncompressed_part(artifact);
        return {std::make_unique<CompressedModel>(artifact, base), base->input(), "artifact",
                sha256(MappedFile(source))};
    }
    return open_model(read_checkpoint(find_model(source), options));
}

OpenedModel open_model(Checkpoint checkpoint) {
    auto model = std::make_unique<Model>(std::move(checkpoint));
    const Checkpoint& opened = model->checkpoint();
    ModelInput input = model->input();
    std::string description = opened.description;
    std::string hash = opened.sha256;
    return {std::move(model), std::move(input), std::move(description), std::move(hash)};
}

}  // namespace jlcm
