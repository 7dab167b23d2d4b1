#include "plugins/estimator/nearest/nearest_step.hpp"

#include "core/backend/cpu/isa.hpp"
#include "core/learn/segment_steps.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(NearestKernel, nearest)

void nearest_step(const CodedMatrix& matrix, const Tensor& gradient, const AdamStep& adam, Tensor& latent,
                  Tensor& first_moment, Tensor& second_moment, std::vector<std::int64_t>& jumps) {
    const NearestKernel kernel = JLCM_SELECT_KERNELS(nearest);
    step_segments(matrix, gradient, jumps, [&](const Segment& segment, std::int64_t* counts) {
        const float* table = matrix.table(segment.group);
        const float gap = matrix.spacing(segment.group);
        AdamStep scaled = adam;
        scaled.rate *= gap;
        kernel(segment.size(), matrix.codewords, table, &scaled, table[0] - 0.5F * gap,
               table[matrix.codewords - 1] + 0.5F * gap, gradient.data<float>() + segment.first,
               latent.data<float>() + segment.first, first_moment.data<float>() + segment.first,
               second_moment.data<float>() + segment.first, matrix.codes + segment.first, counts);
    });
}

}  // namespace jlcm
