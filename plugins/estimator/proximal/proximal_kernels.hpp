#pragma once
// The kernels of the forms of the proximal rule.

#include "core/learn/score_step.hpp"

namespace jlcm {

struct ProximalKernels {
    ScoreKernel inverse;
    ScoreKernel exponential;
    ScoreKernel adjacent;
};

}  // namespace jlcm
