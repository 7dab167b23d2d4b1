#include "core/backend/cpu/dense_kernels.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(DenseKernels<float>, dense_float)
JLCM_DECLARE_KERNELS(DenseKernels<double>, dense_double)
JLCM_DECLARE_KERNELS(VocabularyKernels, vocabulary)

template <>
const DenseKernels<float>& dense_kernels<float>() {
    return JLCM_SELECT_KERNELS(dense_float);
}
template <>
const DenseKernels<double>& dense_kernels<double>() {
    return JLCM_SELECT_KERNELS(dense_double);
}
const VocabularyKernels& vocabulary_kernels() {
    return JLCM_SELECT_KERNELS(vocabulary);
}

}  // namespace jlcm
