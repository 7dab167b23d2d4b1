#pragma once
// State on disk: named tensors and a few words, in one safetensors file that knows its own SHA-256.

#include "core/learn/trainable.hpp"

#include <cstdint>
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

/// Where the tensors of a state that is read back lie.
enum class StateResidence : std::uint8_t {
    memory,
    file,  ///< uint8 tensors, which are most of a finished block, are views of the file: not to be written
};

/// Nothing where there is no such file, or (with a warning) where it is damaged.
[[nodiscard]] std::optional<SavedState> load_state(const std::filesystem::path& path,
                                                   StateResidence residence = StateResidence::memory);

}  // namespace jlcm
