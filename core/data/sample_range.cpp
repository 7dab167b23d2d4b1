#include "core/data/sample_range.hpp"

#include "core/base/error.hpp"

#include <algorithm>

namespace jlcm {

void SampleRange::fields(Fields& v) {
    v("first", first, Doc{"The sample to begin with."}, at_least(0));
    v("samples", samples, Doc{"How many samples; 0: all."}, at_least(0));
}

ImageData select_samples(ImageData data, TensorSet::Arrays arrays, const SampleRange& range) {
    const std::int64_t rows = arrays.front().second.rows();
    require(range.first < rows, "it has {} samples, and {} is the first to take", rows, range.first);
    const std::int64_t end = range.samples == 0 ? rows : std::min(rows, range.first + range.samples);
    if (range.first > 0 || end < rows) data.name += fmt::format(" [{}, {})", range.first, end);
    for (auto& [name, array] : arrays) {
        require(array.rows() == rows, "'{}' has {} samples, and '{}' has {}", name, array.rows(),
                arrays.front().first, rows);
        array = array.slice(range.first, end);
    }
    data.images = std::make_shared<const TensorSet>(std::move(arrays));
    return data;
}

}  // namespace jlcm
