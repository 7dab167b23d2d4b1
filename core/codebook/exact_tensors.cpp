#include "core/codebook/exact_tensors.hpp"

#include "core/base/half.hpp"
#include "core/codebook/affine_matrix.hpp"

#include <algorithm>

namespace jlcm {
namespace {

Encoding encoding_of(const CompressedMatrix& matrix) {
    if (const auto affine = affine_encoding_of(matrix)) return *affine;
    const Tensor values = decode(matrix);
    const bool is_half =
        std::ranges::all_of(values.values<float>(), [](float value) { return f16_rounded(value) == value; });
    return is_half ? Encoding::f16 : Encoding::f32;
}

bool is_plain(Encoding encoding) {
    return block_values(encoding) == 1;
}

}  // namespace

EncodedTensors exact_tensors(const Artifact& artifact) {
    return {.encoding =
                [&artifact](const TensorInfo& info) {
                    if (info.shape.size() == 1) return Encoding::f32;
                    const auto matrix = artifact.matrices.find(info.name);
                    if (matrix != artifact.matrices.end()) return encoding_of(matrix->second);
                    return artifact.tensor(info.name).encoding;
                },
            .bytes =
                [&artifact](const TensorInfo& info) {
                    const auto matrix = artifact.matrices.find(info.name);
                    if (matrix != artifact.matrices.end() && !is_plain(info.encoding))
                        return affine_blocks(matrix->second, info.encoding);
                    if (matrix == artifact.matrices.end()) {
                        const StoredTensor& own = artifact.tensor(info.name);
                        if (own.encoding == info.encoding)
                            return std::vector<std::byte>(own.bytes.begin(), own.bytes.end());
                    }
                    const Tensor values = artifact.weights(info.name);
                    return encode(values.values<float>(), info.encoding);
                }};
}

}  // namespace jlcm
