#pragma once
// What the stages of a run share.

#include "core/experiment/run_directory.hpp"
#include "core/experiment/run_spec.hpp"
#include "core/experiment/stages.hpp"

namespace jlcm {

struct RunContext {
    const RunSpec& spec;
    const WeightSource& model;  ///< what is compressed: the source's weights, re-ordered or not
    Backend& backend;
    DType compute = DType::f32;
    RunFiles files;
    Metrics& metrics;
    Stages& stages;
};

}  // namespace jlcm
