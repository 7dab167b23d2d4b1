#include "core/data/model_input.hpp"

#include "core/base/error.hpp"

namespace jlcm {

bool ModelInput::is_like(const ModelInput& other) const {
    if (preprocess != nullptr && other.preprocess != nullptr)
        return preprocess->shape() == other.preprocess->shape() &&
               preprocess->inputs() == other.preprocess->inputs();
    return tokenizer != nullptr && other.tokenizer != nullptr &&
           tokenizer->vocabulary_size() == other.tokenizer->vocabulary_size();
}

Shape ModelInput::sample_shape(std::int64_t length) const {
    if (preprocess == nullptr) return {1, length};
    Shape shape = preprocess->shape();
    shape.insert(shape.begin(), 1);
    return shape;
}

const Tokenizer& ModelInput::need_tokenizer(std::string_view what) const {
    require(tokenizer != nullptr, "{} works on text, and the model {}", what,
            preprocess == nullptr        ? "has no tokenizer"
            : preprocess->takes_images() ? "reads images"
                                         : "reads tensors");
    return *tokenizer;
}

const Preprocess& ModelInput::need_preprocess(std::string_view what) const {
    require(preprocess != nullptr && preprocess->takes_images(), "{} works on images, and {}", what,
            tokenizer != nullptr
                ? "the model reads text"
                : "nothing says how the model wants them: put a preprocess.json beside its file");
    return *preprocess;
}

}  // namespace jlcm
