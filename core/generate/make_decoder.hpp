#pragma once
// The decoder that a model is generated with.

#include "core/backend/backend.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/generate/decoder.hpp"

#include <cstdint>
#include <memory>

namespace jlcm {

struct DecoderOptions {
    std::int64_t context = 0;    ///< most tokens; 0: as many as the model is made for
    DType compute = DType::f32;  ///< what products are made of: float32 or bfloat16
};

/// A decoder over `model`, which must outlive it. Input errors: a model that reads no text or predicts no tokens, a
/// context that the model is not made for.
[[nodiscard]] std::unique_ptr<Decoder> make_decoder(const OpenedModel& model, const DecoderOptions& options,
                                                    Backend& backend);

}  // namespace jlcm
