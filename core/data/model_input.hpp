#pragma once
// What a model says of its input.

#include "core/text/tokenizer.hpp"
#include "core/vision/preprocess.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace jlcm {

/// Of a language model the tokenizer, of a vision model the preprocessing.
struct ModelInput {
    std::shared_ptr<const Tokenizer> tokenizer;    ///< null where it reads images
    std::int64_t max_positions = 0;                ///< longest context of a language model, in tokens
    std::shared_ptr<const Preprocess> preprocess;  ///< null where it reads text

    /// Whether one sample suits both: images of one shape, or texts of equally large vocabularies.
    [[nodiscard]] bool is_like(const ModelInput& other) const;
    /// Of one sample: [1, length] or [1, channels, height, width].
    [[nodiscard]] Shape sample_shape(std::int64_t length) const;
    /// Input errors where the model reads something else; `what` names who asks.
    [[nodiscard]] const Tokenizer& need_tokenizer(std::string_view what) const;
    [[nodiscard]] const Preprocess& need_preprocess(std::string_view what) const;
};

}  // namespace jlcm
