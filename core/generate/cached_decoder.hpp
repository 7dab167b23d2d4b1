#pragma once
// A decoder that reads each token once: keys and values of earlier tokens are cached.

#include "core/generate/decoder.hpp"
#include "core/graph/sequence_state.hpp"
#include "core/model/model.hpp"

#include <string>

namespace jlcm {

struct DecoderOptions {
    DType compute = DType::f32;           ///< what products are made of: float32 or bfloat16
    CacheType cache = CacheType::f16;     ///< of keys and values
    Products products = Products::exact;  ///< of one or a few tokens with packed weights
    std::int64_t context = 0;             ///< most tokens; 0: as many as the model is made for
    std::int64_t step = 512;              ///< most tokens of a prompt that are read at once
};

/// What generation takes in memory at most, in bytes.
struct DecoderMemory {
    double weights = 0;  ///< pages of the model's files
    double cache = 0;    ///< of keys and values, when the context is full
    double work = 0;
    std::int64_t context = 0;
    [[nodiscard]] double total() const { return weights + cache + work; }
    [[nodiscard]] std::string describe() const;
};
/// `weight_bytes`: of the model's files. Of a packed embedding that is no head, the rows of the context's tokens
/// alone are read.
[[nodiscard]] DecoderMemory decoder_memory(const WeightSource& source, const ModelInput& input,
                                           const DecoderOptions& options, double weight_bytes);
/// `options` with the largest step of a prompt, from 32 tokens on, by which generation keeps within `limit` bytes;
/// unchanged if none does.
[[nodiscard]] DecoderOptions within_memory(const WeightSource& source, const ModelInput& input,
                                           DecoderOptions options, double weight_bytes, double limit);

class CachedDecoder final : public Decoder {
  public:
    /// `source` outlives it. An input error if the model predicts no tokens, is no causal one, or its context
    /// is exceeded.
    CachedDecoder(const WeightSource& source, const ModelInput& input, const DecoderOptions& options,
                  Backend& backend);

    [[nodiscard]] Tensor read(std::span<const std::int32_t> tokens) override;
    void keep(std::int64_t count) override { state_.keep(count); }
    [[nodiscard]] std::int64_t position() const override { return state_.position(); }
    [[nodiscard]] std::int64_t context() const override { return context_; }
    /// Bytes that the cache takes when `tokens` tokens have been read.
    [[nodiscard]] static double cache_bytes(const Graph& graph, CacheType type, std::int64_t tokens);

  private:
    Executor executor_;
    Weights weights_;
    BoundWeight head_;
    SequenceState state_;
    std::int64_t context_;
    std::int64_t tokens_per_step_ = 0;
};

}  // namespace jlcm
