#include "core/learn/coded_matrix.hpp"

namespace jlcm {

Tensor group_tables(const CompressedMatrix& matrix) {
    const std::int64_t groups = matrix.layout.groups();
    const auto words = static_cast<std::size_t>(matrix.layout.codewords());
    Tensor tables = Tensor::empty({groups, matrix.layout.codewords()});
    for (std::int64_t g = 0; g < groups; ++g)
        matrix.group_values(g, tables.values<float>().subspan(static_cast<std::size_t>(g) * words, words));
    return tables;
}

CodedMatrix coded_matrix(const CompressedMatrix& matrix, const Tensor& tables, const GroupMap& groups) {
    Tensor codes = matrix.mapping;  // shares memory: kernels write codes through the view
    return {.groups = &groups,
            .codewords = matrix.layout.codewords(),
            .codes = codes.data<std::uint8_t>(),
            .tables = tables.data<float>()};
}

}  // namespace jlcm
