#include "plugins/estimator/curvature/curvature_step.hpp"

#include "core/backend/cpu/isa.hpp"
#include "core/learn/segment_steps.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(CurvatureKernel, curvature)

void curvature_step(const CodedMatrix& matrix, const Tensor& gradient, const CurvatureStep& step,
                    const Tensor& curvature, Tensor& latent, Tensor& first_moment,
                    std::vector<std::int64_t>& jumps) {
    const bool by_column = curvature.size() == matrix.cols();
    ensure(by_column || curvature.size() == gradient.size(), "curvature {} for a coded matrix {} x {}",
           to_string(curvature.shape()), matrix.rows(), matrix.cols());
    const CurvatureKernel kernel = JLCM_SELECT_KERNELS(curvature);
    step_segments(matrix, gradient, jumps, [&](const Segment& segment, std::int64_t* counts) {
        CurvatureStep scaled = step;
        scaled.trust *= matrix.spacing(segment.group);
        kernel(segment.size(), matrix.codewords, matrix.table(segment.group), &scaled,
               gradient.data<float>() + segment.first,
               curvature.data<float>() + (by_column ? segment.begin : segment.first),
               latent.data<float>() + segment.first, first_moment.data<float>() + segment.first,
               matrix.codes + segment.first, counts);
    });
}

}  // namespace jlcm
