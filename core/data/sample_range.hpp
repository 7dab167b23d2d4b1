#pragma once
// What the datasets of tensors share: taking samples from one on.

#include "core/spec/fields.hpp"
#include "core/vision/image.hpp"

namespace jlcm {

struct SampleRange {
    std::int64_t first = 0;
    std::int64_t samples = 0;
    void fields(Fields& v);
};

/// The samples of the range, their name saying so. An input error if none is left, or if the arrays are not of equally
/// many.
[[nodiscard]] ImageData select_samples(ImageData data, TensorSet::Arrays arrays, const SampleRange& range);

}  // namespace jlcm
