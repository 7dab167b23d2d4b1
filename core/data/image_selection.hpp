#pragma once
// What the datasets of images share: taking a part of them.

#include "core/data/split.hpp"
#include "core/vision/image.hpp"

namespace jlcm {

struct ImageSelection {
    Split split = Split::all;
    std::int64_t every = 5;
    std::int64_t skip = 0;
    std::int64_t first = 0;
    void fields(Fields& v);
};

/// The images of the selection, in order, their name saying so. An input error where none is left.
[[nodiscard]] ImageData select_images(ImageData data, const ImageSelection& selection);

}  // namespace jlcm
