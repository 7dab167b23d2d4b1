#pragma once
// An ONNX file and the values of its large constants apart, so that unpacking it copies none of them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

struct OnnxValuesApart {
    std::string message;  ///< the file without them
    std::vector<std::optional<std::string_view>>
        values;  ///< of each initializer, in the file; none where they are small
};

/// Only raw values of initializers of the outermost graph are taken apart. An input error where the bytes are no
/// message.
[[nodiscard]] OnnxValuesApart take_values_apart(std::string_view file);

}  // namespace jlcm
