#include "core/codebook/artifact_model.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/model/find_model.hpp"

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
    OpenedModel opened;
    if (is_artifact(source)) {
        const MappedArtifact artifact = map_artifact(source);
        auto model = std::make_unique<PackedModel>(artifact);
        opened.input = model->input();
        opened.description = "artifact";
        opened.checkpoint = &model->base().checkpoint();
        opened.provenance = artifact.provenance;
        opened.file = source;
        opened.weights = std::move(model);
        return opened;
    }
    return open_model(read_checkpoint(find_model(source), options));
}

OpenedModel open_model(Checkpoint checkpoint) {
    OpenedModel opened;
    auto model = std::make_unique<Model>(std::move(checkpoint));
    opened.input = model->input();
    opened.checkpoint = &model->checkpoint();
    opened.description = opened.checkpoint->description;
    opened.hash = opened.checkpoint->sha256;
    opened.weights = std::move(model);
    return opened;
}

double OpenedModel::file_bytes() const {
    if (!file.empty()) return static_cast<double>(std::filesystem::file_size(file));
    double bytes = 0;
    for (const auto& [name, tensor] : checkpoint->tensors) bytes += static_cast<double>(tensor.bytes.size());
    return bytes;
}

const std::string& OpenedModel::sha256() const {
    if (hash.empty()) hash = jlcm::sha256(MappedFile(file));
    return hash;
}

}  // namespace jlcm
