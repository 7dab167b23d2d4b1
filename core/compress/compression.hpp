#pragma once
// What the stages of the pipeline share: the options, the model, and where results go.

#include "core/compress/compression_plan.hpp"
#include "core/graph/blocks.hpp"
#include "core/graph/execution.hpp"
#include "core/model/model.hpp"
#include "core/store/run_store.hpp"

#include <cstdint>

namespace jlcm {

struct Compression {
    const CompressOptions& options;
    const WeightSource& model;  ///< what is compressed: the source's weights, re-ordered or not
    const std::map<ParameterId, MatrixPlan>& plan;
    Backend& backend;
    DType compute = DType::f32;
    std::uint64_t seed = 0;
    nlohmann::json source;  ///< source_key of `model`
    RunStore store;

    /// The weights that are compressed with a block, in the order of the nodes (own_linears).
    [[nodiscard]] std::vector<ParameterId> compressed_parameters(const Block& block) const {
        std::vector<ParameterId> parameters;
        for (const auto& use : own_linears(model.graph(), block.nodes))
            if (plan.contains(use.parameter)) parameters.push_back(use.parameter);
        return parameters;
    }
};

}  // namespace jlcm
