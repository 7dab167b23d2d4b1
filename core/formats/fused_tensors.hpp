#pragma once
// Tensors of a file that hold several of the model's, or hold one turned.

#include "core/formats/checkpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// A projection whose rows several of the model's share. The model calls them "<stem>.<part>".
struct Fusion {
    struct Part {
        std::string name;
        std::int64_t rows = 0;
    };
    std::string stem;  ///< how the tensor's name ends in front of ".weight" and ".bias"
    std::vector<Part> parts;
    /// The rows are those of so many heads one after the other, of each the parts'.
    std::int64_t heads = 1;
};

/// A tensor as Hugging Face's files hold it: the model's tensors `parts` one below the other, for each of `heads` in
/// turn; then [inputs, outputs] if `turned`.
struct FileTensor {
    TensorInfo info;
    std::vector<TensorInfo> parts;
    std::int64_t heads = 1;
    bool turned = false;
};

/// Replaces the checkpoint's fused tensors by their parts. An input error if one has other rows.
void cut(Checkpoint& checkpoint, const std::vector<Fusion>& fusions);
/// The reverse for tensors that are written, which stand for themselves before. Parts follow on each other in the
/// order of the fusion.
void join(std::vector<FileTensor>& tensors, const std::vector<Fusion>& fusions);

/// Bytes of a tensor, which `checkpoint` keeps from now on.
[[nodiscard]] std::span<const std::byte> kept(std::vector<std::byte> bytes, Checkpoint& checkpoint);

/// A matrix with rows and columns exchanged, still encoded; `checkpoint` keeps its bytes.
[[nodiscard]] StoredTensor transposed(const StoredTensor& stored, Checkpoint& checkpoint);

}  // namespace jlcm
