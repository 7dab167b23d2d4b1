#include "core/backend/cpu/kmeans_kernels.hpp"

namespace jlcm {

#define JLCM_DECLARE(level)            \
    namespace level {                  \
    extern const KMeansKernels kmeans; \
    }
JLCM_DECLARE(isa_v2)
JLCM_DECLARE(isa_v3)
JLCM_DECLARE(isa_v4)
#undef JLCM_DECLARE

const KMeansKernels& kmeans_kernels() {
    return select_isa(isa_v2::kmeans, isa_v3::kmeans, isa_v4::kmeans);
}

}  // namespace jlcm
