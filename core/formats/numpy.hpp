#pragma once
// numpy's files. Format: numpy.lib.format; .npz is a ZIP archive of .npy files (PKWARE's APPNOTE).

#include "core/tensor/tensor.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// The array of an .npy file as float32. Numbers of any width, integers and truth values, little-endian. Input errors:
/// another type, a damaged header, bytes that do not fit the shape, more than `limit` elements.
[[nodiscard]] Tensor parse_npy(std::span<const std::byte> bytes, std::int64_t limit = std::int64_t{1} << 31);

/// The arrays of an .npz file by name, in its order; stored or deflated, of at most `limit` elements each.
[[nodiscard]] std::vector<std::pair<std::string, Tensor>> parse_npz(std::span<const std::byte> bytes,
                                                                    std::int64_t limit = std::int64_t{1}
                                                                                         << 31);

/// A file .npy of float32, or .npz of several (not deflated).
[[nodiscard]] std::string npy_of(const Tensor& array);
[[nodiscard]] std::string npz_of(const std::vector<std::pair<std::string, Tensor>>& arrays);

}  // namespace jlcm
