#include "core/learn/coded_matrix.hpp"

namespace jlcm {

Tensor group_tables(const CompressedMatrix& matrix) {
    const std::int64_t groups = matrix.layout.groups();
    const std::int64_t words = matrix.layout.codewords();
    Tensor tables = Tensor::empty({groups, words});
    for (std::int64_t g = 0; g < groups; ++g) {
        const float* book = matrix.codebooks.data<float>() + (matrix.layout.shared_codebook ? 0 : g) * words;
        const float scale = matrix.scales.defined() ? matrix.scales.data<float>()[g] : 1.0F;
        const float offset = matrix.offsets.defined() ? matrix.offsets.data<float>()[g] : 0.0F;
        for (std::int64_t k = 0; k < words; ++k)
            tables.data<float>()[g * words + k] = scale * book[k] + offset;
    }
    return tables;
}

CodedMatrix coded_matrix(const CompressedMatrix& matrix, const Tensor& tables,
                         const std::vector<std::int32_t>& row_groups) {
    const Layout& layout = matrix.layout;
    Tensor codes = matrix.mapping;  // shares memory: kernels write codes through the view
    return {.rows = layout.rows,
            .cols = layout.cols,
            .segment = layout.column_group == 0 ? layout.cols : layout.column_group,
            .codewords = layout.codewords(),
            .codes = codes.data<std::uint8_t>(),
            .tables = tables.data<float>(),
            .table_of_row = row_groups.data()};
}

}  // namespace jlcm
