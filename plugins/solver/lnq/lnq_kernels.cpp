#include "plugins/solver/lnq/lnq_kernels.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(LnqKernels, lnq)

const LnqKernels& lnq_kernels() {
    return JLCM_SELECT_KERNELS(lnq);
}

std::int64_t gram_scratch_bytes(std::int64_t cols, std::int64_t tiles, int k) {
    const std::int64_t rows = tiles * solver_lanes;
    constexpr std::int64_t slack = 1024;  // alignment of the parts
    const std::int64_t block = solver_columns;
    return 129 * block * 4                                // a packed block of H and its sum
           + rows * 2                                     // the most frequent codes
           + rows * k * block * 4                         // sums of one chunk
           + rows * cols * 2                              // columns by code
           + rows * (cols / block + 1) * (2 * k + 1) * 2  // where each code begins
           + slack;
}

}  // namespace jlcm
