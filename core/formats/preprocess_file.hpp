#pragma once
// What a vision model's file does not say: how it wants its images.

#include "core/formats/checkpoint.hpp"

namespace jlcm {

/// Puts the JSON of the preprocess.json that lies beside `model`, if one does, into extra["preprocess"], and
/// its hash into the checkpoint's. An input error names the file where it is no JSON.
void add_preprocess_file(Checkpoint& checkpoint, const std::filesystem::path& model);

}  // namespace jlcm
