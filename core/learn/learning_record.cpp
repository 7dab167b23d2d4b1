#include "core/learn/learning_record.hpp"

#include <algorithm>

namespace jlcm {

nlohmann::json learning_record(std::int64_t step, double loss, const JumpHistogram& jumps) {
    const auto weights = static_cast<double>(std::max<std::int64_t>(jumps.weights, 1));
    return {{"step", step},
            {"loss", loss},
            {"moved", static_cast<double>(jumps.moved()) / weights},
            {"jumps", jumps.jumps}};
}

}  // namespace jlcm
