#pragma once
// What a run reads, and everything that it can be refused for before it computes.

#include "core/base/json.hpp"
#include "core/compress/compression_plan.hpp"
#include "core/compress/samples.hpp"
#include "core/model/evaluation.hpp"
#include "core/model/model.hpp"
#include "core/run/spec.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <vector>

namespace jlcm {

/// What a run reads.
struct RunInputs {
    Directories directories;
    std::filesystem::path model_path;
    std::unique_ptr<Model> model;                        ///< its blocks joined as the spec says
    CalibrationData data;                                ///< empty if nothing reads samples
    nlohmann::json evaluated = nlohmann::json::array();  ///< the evaluations' data: Evaluation::data
    std::map<ParameterId, MatrixPlan> plan;
};

/// Reads it. One input error tells all that is missing or refused, and, of what could be read, all that
/// check_inputs() finds.
[[nodiscard]] RunInputs read_inputs(const RunSpec& spec, Backend& backend);

/// An input error with all in which the model, the data and the spec do not fit together, as far as it shows
/// without running the model: data of the wrong kind, groupings that do not fit a matrix, a distillation or
/// statistics of a model that predicts nothing, evaluations of an output that is none of theirs. Returns what
/// the evaluations read.
std::vector<Workload> check_inputs(const RunSpec& spec, const RunInputs& inputs);

}  // namespace jlcm
