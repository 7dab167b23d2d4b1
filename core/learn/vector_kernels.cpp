#include "core/learn/vector_kernels.hpp"

#include "core/backend/cpu/isa.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(VectorKernels, vectors)

const VectorKernels& vector_kernels() {
    return JLCM_SELECT_KERNELS(vectors);
}

}  // namespace jlcm
