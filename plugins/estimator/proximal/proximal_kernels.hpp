#pragma once
// The kernels of the forms of the proximal rule.

#include "core/learn/score_step.hpp"

namespace jlcm {

struct ProximalKernels {
    ScoreKernels inverse;
    ScoreKernels exponential;
    ScoreKernels adjacent;  ///< of numbers alone: vectors have no two neighbours
};

}  // namespace jlcm
