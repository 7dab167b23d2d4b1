#include "core/codebook/decoding_kernels.hpp"

#include "core/backend/cpu/isa.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(DecodingKernels, decoding)

const DecodingKernels& decoding_kernels() {
    return JLCM_SELECT_KERNELS(decoding);
}

}  // namespace jlcm
