#pragma once
// Models as programs open them: a source checkpoint or a compressed artifact, ready to run.

#include "core/codebook/artifact.hpp"
#include "core/codebook/compressed_model.hpp"
#include "core/codebook/packed_model.hpp"
#include "core/model/model.hpp"
#include "core/model/reordered_model.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace jlcm {

/// `model`, compressed from `source`, with everything that makes it complete by itself. `reordered`: its base
/// where that is the source re-ordered, else null; what is not compressed then follows its order.
[[nodiscard]] Artifact make_artifact(const CompressedModel& model, const Checkpoint& source,
                                     const ReorderedModel* reordered, nlohmann::json provenance);

/// Whether the path is that of an artifact: a file *.safetensors.
[[nodiscard]] bool is_artifact(const std::filesystem::path& path);

/// A model or an artifact, opened to be run. An artifact runs from its mapped file.
struct OpenedModel {
    std::unique_ptr<WeightSource> weights;
    ModelInput input;
    std::string description;  ///< e.g. "GGUF v3, Q4_1, F32, Q8_0", or "artifact"
    /// What its files hold beside the weights: configuration, tokenizer, chat templates. Of `weights`.
    const Checkpoint* checkpoint = nullptr;
    /// The SHA-256 of its files, which is computed by the first call for an artifact: opening reads little of it.
    [[nodiscard]] const std::string& sha256() const;

    /// Bytes of the weights' files.
    [[nodiscard]] double file_bytes() const;

    nlohmann::json provenance;   ///< how an artifact was made: spec, hashes, versions; null for a model
    std::filesystem::path file;  ///< the artifact's; empty for a model
    mutable std::string hash;    ///< what sha256() returns once it is known
};

/// `source` as find_model takes it, or an artifact's path, whose outputs are chosen already.
[[nodiscard]] OpenedModel open_model(const std::string& source, const ReadOptions& options = {});

/// A checkpoint that was read already.
[[nodiscard]] OpenedModel open_model(Checkpoint checkpoint);

}  // namespace jlcm
