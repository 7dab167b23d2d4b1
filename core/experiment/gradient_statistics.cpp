#include "core/experiment/gradient_statistics.hpp"

#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/solver.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {
namespace {

constexpr std::int64_t element_grain = 1 << 15;

class GradientPass {
  public:
    GradientPass(const Executor& executor, const WeightSource& model, const Tensor& windows,
                 const GradientNeeds& needs, const std::set<ParameterId>& wanted)
        : executor_(executor),
          graph_(executor.graph()),
          windows_(windows),
          needs_(needs),
          wanted_(wanted),
          head_(head_weight(model, executor.compute(), executor.backend())),
          weights_(graph_) {
        bind_weights(weights_, model, {0, graph_.node_count()}, executor.compute(), executor.backend());
        for (const auto& use : graph_.linears({0, graph_.node_count()})) {
            if (!wanted_.contains(use.parameter)) continue;
            if (needs_.fisher)
                result_.fisher.try_emplace(use.parameter,
                                           Tensor::zeros(graph_.parameter(use.parameter).shape));
            if (needs_.row_sets > 0)
                result_.token_weights.emplace(use.node, Tensor::zeros({windows.size(), needs_.row_sets}));
        }
    }

    GradientStatistics run() {
        Progress progress("gradients", windows_.rows(), "sequences");
        for (std::int64_t sequence = 0; sequence < windows_.rows(); ++sequence) {
            throw_if_interrupted();
            progress.update(sequence, "");
            add(sequence);
        }
        const auto sequences = static_cast<double>(windows_.rows());
        result_.loss /= sequences * static_cast<double>(windows_.cols() - 1);
        for (auto& [id, fisher] : result_.fisher)
            for (float& f : fisher.values<float>())
                f = static_cast<float>(static_cast<double>(f) / sequences);
        for (auto& [node, weights] : result_.token_weights) {
            const auto values = weights.values<float>();
            const double mean = std::accumulate(values.begin(), values.end(), 0.0) /
                                static_cast<double>(std::max<std::size_t>(1, values.size()));
            for (float& w : values) w = mean > 0 ? static_cast<float>(static_cast<double>(w) / mean) : 1.0F;
        }
        return std::move(result_);
    }

  private:
    void add(std::int64_t sequence) {
        const auto& blocks = graph_.blocks();
        const Tensor ids = windows_.slice(sequence, sequence + 1);
        std::vector<Tensor> inputs;
        Tensor x = executor_.forward(graph_.prologue(), weights_, graph_.input(), ids, blocks.front().input);
        for (const Block& block : blocks) {
            inputs.push_back(x);
            x = executor_.forward(block, weights_, x);
        }
        Recording recording;
        const ValueId last = blocks.back().output;
        const Tensor features =
            executor_.forward(graph_.epilogue(), weights_, last, x, graph_.features(), &recording);
        Tensor slope = loss_gradient(ids, features);
        slope = backward(recording, last, graph_.features(), slope, sequence);
        for (std::size_t b = blocks.size(); b-- > 0;) {
            (void)executor_.forward(blocks[b], weights_, inputs[b], &recording);
            slope = backward(recording, blocks[b].input, blocks[b].output, slope, sequence);
            inputs[b] = Tensor();
        }
    }

    /// The gradient of the summed loss of next tokens with respect to the features.
    Tensor loss_gradient(const Tensor& ids, const Tensor& features) {
        std::vector<std::int32_t> targets(ids.values<std::int32_t>().begin() + 1,
                                          ids.values<std::int32_t>().end());
        targets.push_back(-1);
        Backend& backend = executor_.backend();
        Tensor slope;
        result_.loss += backend.cross_entropy_backward(
            backend.convert(features.reshape({ids.size(), features.shape().back()}), head_.dtype()), head_,
            targets, 1.0, slope);
        return slope.reshape(features.shape());
    }

    /// Through a range that `recording` holds; returns the gradient of its input.
    Tensor backward(const Recording& recording, ValueId from, ValueId to, const Tensor& slope,
                    std::int64_t sequence) {
        Gradients gradients;
        gradients.want_input = true;
        for (const auto& use : graph_.linears(recording.range))
            if (result_.fisher.contains(use.parameter))
                gradients.parameters.emplace(use.parameter,
                                             Tensor::zeros(graph_.parameter(use.parameter).shape));
        executor_.backward(recording, weights_, from, to, slope, gradients,
                           [&](NodeId node, const Tensor& gradient) { weigh(node, gradient, sequence); });
        for (const auto& entry : gradients.parameters) {
            const Tensor& gradient = entry.second;
            Tensor& fisher = result_.fisher.at(entry.first);
            parallel_for(fisher.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i)
                    fisher.data<float>()[i] += gradient.data<float>()[i] * gradient.data<float>()[i];
            });
        }
        return gradients.input;
    }

    /// The tokens' weights from the gradient of a layer's output.
    void weigh(NodeId node, const Tensor& gradient, std::int64_t sequence) {
        const auto found = result_.token_weights.find(node);
        if (found == result_.token_weights.end()) return;
        const std::int64_t tokens = windows_.cols();
        const std::int64_t rows = gradient.shape().back();
        const std::int64_t sets = needs_.row_sets;
        float* out = found->second.data<float>() + sequence * tokens * sets;
        parallel_for(tokens, 64, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) {
                const float* g = gradient.data<float>() + t * rows;
                for (std::int64_t q = 0; q < sets; ++q) {
                    const std::int64_t first = row_set_begin(rows, sets, q);
                    const std::int64_t last = row_set_begin(rows, sets, q + 1);
                    float sum = 0;
                    for (std::int64_t j = first; j < last; ++j) sum += g[j] * g[j];
                    out[t * sets + q] = last > first ? sum / static_cast<float>(last - first) : 0.0F;
                }
            }
        });
    }

    const Executor& executor_;
    const Graph& graph_;
    const Tensor& windows_;
    const GradientNeeds& needs_;
    const std::set<ParameterId>& wanted_;
    Tensor head_;
    Weights weights_;
    GradientStatistics result_;
};

}  // namespace

GradientStatistics gradient_statistics(const Executor& executor, const WeightSource& model,
                                       const Tensor& windows, const GradientNeeds& needs,
                                       const std::set<ParameterId>& wanted) {
    require(windows.cols() >= 2, "gradients of the next token's loss need windows of two tokens or more");
    return GradientPass(executor, model, windows, needs, wanted).run();
}

}  // namespace jlcm
