#pragma once
// State on disk: named tensors and a few words, in one safetensors file that knows its own SHA-256.

#include "core/learn/trainable.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

struct SavedState {
    std::map<std::string, std::string> words;
    std::vector<NamedTensor> tensors;  ///< float32, bfloat16, float16, int32 or uint8

    /// An undefined tensor where there is none of that name.
    [[nodiscard]] Tensor find(const std::string& name) const;
};

/// Atomically: a program that is killed leaves the former file or the new one.
void save_state(const std::filesystem::path& path, const SavedState& state);

/// Nothing where there is no such file, or (with a warning) where it is damaged.
[[nodiscard]] std::optional<SavedState> load_state(const std::filesystem::path& path);

}  // namespace jlcm
