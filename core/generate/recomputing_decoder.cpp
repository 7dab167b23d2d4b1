#include "core/generate/recomputing_decoder.hpp"

#include "core/base/error.hpp"

namespace jlcm {

Tensor RecomputingDecoder::read(std::span<const std::int32_t> tokens) {
    ensure(!tokens.empty(), "no token to read");
    require(position() + std::ssize(tokens) <= context_, "{} tokens behind {} exceed the context of {}",
            tokens.size(), position(), context_);
    ids_.insert(ids_.end(), tokens.begin(), tokens.end());
    const Tensor features = model_->features(Tensor::from<std::int32_t>({1, position()}, ids_));
    const Tensor last = features.slice(features.rows() - 1, features.rows());
    const Tensor& head = model_->head();
    const Tensor logits =
        head.defined() ? model_->backend().product(last, Transpose::no, head, Transpose::yes) : last;
    return logits.to(DType::f32).reshape({logits.size()});
}

void RecomputingDecoder::keep(std::int64_t count) {
    ensure(count >= 0 && count <= position(), "{} of {} tokens cannot be kept", count, position());
    ids_.resize(static_cast<std::size_t>(count));
}

}  // namespace jlcm
