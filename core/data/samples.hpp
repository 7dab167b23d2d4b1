#pragma once
// Data as a model reads them: windows of tokens for a language model, normalised pixels for a vision model.
// Whatever calibrates and learns works on these samples and does not know which.

#include "core/data/dataset.hpp"
#include "core/data/model_input.hpp"

#include <memory>
#include <vector>

namespace jlcm {

/// An endless sequence of samples drawn from several datasets in turns (core/base/draws.hpp).
class SampleSource {
  public:
    SampleSource() = default;
    SampleSource(const SampleSource&) = delete;
    SampleSource& operator=(const SampleSource&) = delete;
    virtual ~SampleSource() = default;

    /// Samples first, first + 1, ..., first + count - 1: int32 [count, length] or float32 [count, channels,
    /// height, width].
    [[nodiscard]] virtual Tensor samples(std::int64_t first, std::int64_t count) const = 0;
    /// How many different tokens or images the samples [0, count) hold: "51200 tokens".
    [[nodiscard]] virtual std::string distinct(std::int64_t count) const = 0;
};

/// An input error, with all that is wrong, unless `input` can read all of `data`, and windows of `length`
/// tokens where they are texts.
void require_readable(const ModelInput& input, const std::vector<Data>& data, std::int64_t length);

/// `data` (readable by `input`; must outlive the source) with the share of each's turns. Texts are cut into
/// windows of `length` tokens.
[[nodiscard]] std::unique_ptr<SampleSource> make_sample_source(const ModelInput& input,
                                                               const std::vector<Data>& data,
                                                               const std::vector<double>& shares,
                                                               std::int64_t length, std::uint64_t seed);

}  // namespace jlcm
