#include "core/backend/cpu/dense_kernels.hpp"

namespace jlcm {

#define JLCM_DECLARE(level)                         \
    namespace level {                               \
    extern const DenseKernels<float> dense_float;   \
    extern const DenseKernels<double> dense_double; \
    extern const VocabularyKernels vocabulary;      \
    }
JLCM_DECLARE(isa_v2)
JLCM_DECLARE(isa_v3)
JLCM_DECLARE(isa_v4)
#undef JLCM_DECLARE

template <>
const DenseKernels<float>& dense_kernels<float>() {
    return select_isa(isa_v2::dense_float, isa_v3::dense_float, isa_v4::dense_float);
}
template <>
const DenseKernels<double>& dense_kernels<double>() {
    return select_isa(isa_v2::dense_double, isa_v3::dense_double, isa_v4::dense_double);
}
const VocabularyKernels& vocabulary_kernels() {
    return select_isa(isa_v2::vocabulary, isa_v3::vocabulary, isa_v4::vocabulary);
}

}  // namespace jlcm
