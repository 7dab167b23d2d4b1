#pragma once
// Drives anything that learns in steps to its end, through interruptions.

#include "core/base/json.hpp"
#include "core/learn/trainable.hpp"
#include "core/store/run_directory.hpp"
#include "core/store/stages.hpp"

#include <filesystem>
#include <string>

namespace jlcm {

struct TrainingOptions {
    std::string title;                 ///< for the progress line
    std::string stage;                 ///< what its time counts for, and "stage" in its metrics
    nlohmann::json labels;             ///< more that is put into every record of the metrics
    std::filesystem::path state_file;  ///< where the state is kept under way
    double checkpoint_minutes = 2;
};

/// Steps `learner` to the end and finishes it. A state that `state_file` holds is taken up first; the state
/// is saved there every `checkpoint_minutes` and when the user interrupts, which throws. The file is left to
/// the caller, who removes it once the result is safe. Diverged goes through, with stage and labels, after a
/// line in the metrics whose loss is null.
void train(Trainable& learner, Metrics& metrics, Stages& stages, const TrainingOptions& options);

}  // namespace jlcm
