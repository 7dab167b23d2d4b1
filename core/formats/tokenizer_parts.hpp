#pragma once
// The parts of a tokenizer.json that several writers of it have in common.

#include "core/base/json.hpp"

#include <cstddef>
#include <string>

namespace jlcm {

/// A tokenizer.json of `model` with every other part empty.
[[nodiscard]] nlohmann::json tokenizer_with_model(nlohmann::json model);

/// A BPE model: ids by token, and merges in order.
[[nodiscard]] nlohmann::json byte_pair_model(nlohmann::json vocabulary, nlohmann::json merges);

/// The ByteLevel step, which is a pre-tokenizer, a post-processor and a decoder alike.
[[nodiscard]] nlohmann::json byte_level(bool add_prefix_space, bool use_regex);

/// An entry of `added_tokens` that matches its content as it stands.
[[nodiscard]] nlohmann::json added_token(std::size_t id, const std::string& content, bool special);

}  // namespace jlcm
