#pragma once
// What a learning step reports to metrics.jsonl.

#include "core/learn/estimator.hpp"

namespace jlcm {

/// {"step", "loss", "moved" (share of the weights), "jumps" (how many moved by 1, 2, ... codewords)}
[[nodiscard]] nlohmann::json learning_record(std::int64_t step, double loss, const JumpHistogram& jumps);

}  // namespace jlcm
