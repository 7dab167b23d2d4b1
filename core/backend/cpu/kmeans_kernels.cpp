#include "core/backend/cpu/kmeans_kernels.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(KMeansKernels, kmeans)

const KMeansKernels& kmeans_kernels() {
    return JLCM_SELECT_KERNELS(kmeans);
}

}  // namespace jlcm
