#pragma once
// Runs in MLflow's file store (the directory `mlruns`), as MLflow 3 reads it.

#include "core/report/run_records.hpp"

#include <filesystem>
#include <vector>

namespace jlcm {

/// Adds the runs to the store, which is made where there is none: an experiment for each spec's name, a run
/// for each run, replaced where it is there already. Its artifacts are the run's directory itself: nothing is
/// copied. Input errors: `store` holds something else.
void write_mlflow(const std::filesystem::path& store, const std::vector<RunRecord>& runs);

}  // namespace jlcm
