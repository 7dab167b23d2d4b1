#include "core/graph/operator.hpp"

#include "core/base/json.hpp"

namespace jlcm {

Tensor Operator::forward_through(const ForwardContext& /*context*/, const Epilogue& /*epilogue*/) const {
    ensure(false, "{} takes nothing along", kind());
    return {};
}

nlohmann::json Operator::attributes() const {
    return nlohmann::json::object();
}

Tensor Operator::weight_inputs(const ForwardContext& context) const {
    return context.input_as(0, context.weight(0).dtype());
}

}  // namespace jlcm
