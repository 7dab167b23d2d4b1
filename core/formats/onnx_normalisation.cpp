// Normalisation.
#include "core/formats/onnx_context.hpp"

namespace jlcm::onnx_rules {
namespace {

/// The features' dimension of a value is its second one; of two dimensions it is the last already.
std::vector<int> features_last(std::size_t rank) {
    return rank == 2 ? in_order(2) : image_places(rank);
}

void batch_norm(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    require(node.integer("training_mode", 0) == 0, "training_mode is not supported");
    std::vector<ParameterId> parameters;
    for (const std::size_t i : {1, 2, 3, 4}) {
        const OnnxTensor& tensor = context.constant(node, i);
        parameters.push_back(context.parameter(
            context.input(node, i).name, i < 3 ? "norm" : "norm.statistics", tensor.shape, tensor.floats()));
    }
    const auto places = features_last(x.rank());
    context.set(node, context.emit(node, make_batch_norm(node.number("epsilon", 1e-5)),
                                   {context.in_places(node, x, places)}, parameters, places));
}

}  // namespace

void add_normalisation_rules(Rules& rules) {
    rules["BatchNormalization"] = batch_norm;
}

}  // namespace jlcm::onnx_rules
