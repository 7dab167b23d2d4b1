#include "core/graph/operator.hpp"

#include <nlohmann/json.hpp>

namespace jlcm {

nlohmann::json Operator::attributes() const {
    return nlohmann::json::object();
}

Tensor Operator::weight_inputs(const ForwardContext& context) const {
    return context.input_as(0, context.parameter(0).dtype());
}

}  // namespace jlcm
