#include "core/learn/estimator.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {

void JumpHistogram::add(const JumpHistogram& other) {
    jumps.resize(std::max(jumps.size(), other.jumps.size()));
    for (std::size_t i = 0; i < other.jumps.size(); ++i) jumps[i] += other.jumps[i];
    weights += other.weights;
}

std::int64_t JumpHistogram::moved() const {
    return std::accumulate(jumps.begin(), jumps.end(), std::int64_t{0});
}

std::unique_ptr<VectorMappingLearner> Estimator::start_vectors(const CompressedMatrix& /*matrix*/,
                                                               const Tensor& /*target*/) const {
    fail(
        "this estimator moves codes of single weights in one stage, and codewords are vectors here, or stages "
        "are added up");
}

}  // namespace jlcm
