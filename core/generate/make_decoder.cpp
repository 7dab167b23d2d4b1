#include "core/generate/make_decoder.hpp"

#include "core/base/error.hpp"
#include "core/generate/recomputing_decoder.hpp"

namespace jlcm {
namespace {

/// A recomputing decoder and its model.
class BoundDecoder final : public Decoder {
  public:
    BoundDecoder(const WeightSource& source, DType compute, Backend& backend, std::int64_t context)
        : model_(source, compute, backend), decoder_(model_, context) {}

    [[nodiscard]] Tensor read(std::span<const std::int32_t> tokens) override { return decoder_.read(tokens); }
    void keep(std::int64_t count) override { decoder_.keep(count); }
    [[nodiscard]] std::int64_t position() const override { return decoder_.position(); }
    [[nodiscard]] std::int64_t context() const override { return decoder_.context(); }

  private:
    BoundModel model_;
    RecomputingDecoder decoder_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const OpenedModel& model, const DecoderOptions& options,
                                      Backend& backend) {
    (void)model.input.need_tokenizer("generation");
    require(
        !is_encoder(model.weights->graph(), model.input),
        "the model is an encoder, which predicts no tokens; generation needs a decoder such as Llama or GPT-2");
    const std::int64_t most = model.input.max_positions;
    require(options.context <= most, "a context of {} tokens: the model is made for at most {}",
            options.context, most);
    const std::int64_t context = options.context > 0 ? options.context : most;
    return std::make_unique<BoundDecoder>(*model.weights, options.compute, backend, context);
}

}  // namespace jlcm
