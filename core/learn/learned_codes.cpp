#include "core/learn/learned_codes.hpp"

#include "core/codebook/vector_codebooks.hpp"

#include <utility>

namespace jlcm {

void LearnedCodes::sort() {
    if (matrix_.layout.dimension > 1) return;
    const Tensor former = sort_codewords(matrix_);
    if (former.defined() && mapping() != nullptr) mapping()->relabel(matrix_, groups_, former);
}

void require_learnable(const std::string& name, const Layout& layout) {
    require(has_numbers(layout) || has_one_vector_codebook(layout),
            "{}: joint learning takes codewords of dimension {} in {} stages only in one codebook for the "
            "matrix (grouping: vectors)",
            name, layout.dimension, layout.residual);
}

std::unique_ptr<LearnedCodes> make_learned_codes(const std::string& name, CompressedMatrix matrix,
                                                 const Tensor& target, const Estimator* estimator,
                                                 Backend& backend) {
    require_learnable(name, matrix.layout);
    require(matrix.outliers.empty(), "{}: joint learning of a matrix with outliers is not supported", name);
    if (has_numbers(matrix.layout)) {
        auto mapping = estimator != nullptr ? estimator->start(matrix, target) : nullptr;
        return make_learned_numbers(std::move(matrix), std::move(mapping), backend);
    }
    require(!matrix.offsets.defined(), "{}: joint learning of vectors with offsets is not supported", name);
    auto mapping = estimator != nullptr ? estimator->start_vectors(matrix, target) : nullptr;
    return make_learned_vectors(std::move(matrix), std::move(mapping), backend);
}

}  // namespace jlcm
