#include "core/compress/gradient_statistics.hpp"

#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/solver.hpp"
#include "core/graph/recomputation.hpp"
#include "core/model/scoring.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

constexpr std::int64_t element_grain = 1 << 15;

// Names of a saved state's tensors.
constexpr std::string_view fisher_prefix = "fisher.";
constexpr std::string_view tokens_prefix = "tokens.";

class GradientPass {
  public:
    GradientPass(const Executor& executor, const WeightSource& model, const Tensor& samples,
                 const DataNeeds& needs, const std::set<ParameterId>& wanted)
        : executor_(executor),
          graph_(executor.graph()),
          samples_(samples),
          needs_(needs),
          wanted_(wanted),
          head_(head_weight(model, executor.compute(), executor.backend())),
          weights_(graph_) {
        require(head_.defined() || samples_.dtype() != DType::i32,
                "gradient statistics: the model is an encoder, it has no predictions that could be wrong");
        bind_weights(weights_, model, graph_.body().nodes, executor.compute(), executor.backend());
        for (const auto& use : graph_.linears(graph_.body().nodes)) {
            if (!wanted_.contains(use.parameter)) continue;
            if (needs_.fisher)
                result_.fisher.try_emplace(use.parameter,
                                           Tensor::zeros(graph_.parameter(use.parameter).shape));
            if (needs_.row_sets > 0 && graph_.node(use.node).op->weight_groups() == 1)
                result_.token_weights.emplace(use.node, Tensor());
        }
    }

    GradientStatistics run() {
        Progress progress("gradients", samples_.rows(), "samples");
        for (std::int64_t sample = 0; sample < samples_.rows(); ++sample) {
            throw_if_interrupted();
            progress.update(sample, "");
            add(sample);
        }
        const auto samples = static_cast<double>(samples_.rows());
        result_.loss /= static_cast<double>(predictions_);
        for (auto& [id, fisher] : result_.fisher)
            for (float& f : fisher.values<float>()) f = static_cast<float>(static_cast<double>(f) / samples);
        for (auto& [node, weights] : result_.token_weights) {
            const auto values = weights.values<float>();
            const double mean = std::accumulate(values.begin(), values.end(), 0.0) /
                                static_cast<double>(std::max<std::size_t>(1, values.size()));
            for (float& w : values) w = mean > 0 ? static_cast<float>(static_cast<double>(w) / mean) : 1.0F;
        }
        return std::move(result_);
    }

  private:
    void add(std::int64_t number) {
        Recomputation pass(graph_);
        const Tensor x =
            pass.forward(samples_.slice(number, number + 1), [&](const Block& block, const Tensor& input) {
                return executor_.forward(block, weights_, input);
            });
        Recording recording;
        const Tensor features = executor_.forward(graph_.epilogue(), weights_, x, &recording);
        pass.backward(backward(graph_.epilogue(), recording, loss_gradient(number, features), number),
                      [&](const Block& block, const Tensor& input, const Tensor& slope) {
                          (void)executor_.forward(block, weights_, input, &recording);
                          return backward(block, recording, slope, number);
                      });
    }

    /// The gradient of a sample's summed loss with respect to the features.
    Tensor loss_gradient(std::int64_t number, const Tensor& features) {
        Backend& backend = executor_.backend();
        const Tensor rows = head_input(features, head_, backend);
        const Tensor head = head_or_identity(head_, rows).dense();
        const std::vector<std::int32_t> targets =
            samples_.dtype() == DType::i32 ? next_tokens(number) : drawn_classes(number, rows, head);
        predictions_ += std::ranges::count_if(targets, [](std::int32_t target) { return target >= 0; });
        Tensor slope;
        result_.loss +=
            backend.cross_entropy_backward(rows, head, targets, graph_.head_soft_cap(), 1.0, slope);
        return slope.reshape(features.shape());
    }

    /// Each token's next one, -1 for the last.
    [[nodiscard]] std::vector<std::int32_t> next_tokens(std::int64_t number) const {
        const Tensor ids = samples_.slice(number, number + 1);
        std::vector<std::int32_t> targets(ids.values<std::int32_t>().begin() + 1,
                                          ids.values<std::int32_t>().end());
        targets.push_back(-1);
        return targets;
    }

    /// A class for each row, drawn from the model's own prediction.
    [[nodiscard]] std::vector<std::int32_t> drawn_classes(std::int64_t number, const Tensor& rows,
                                                          const Tensor& head) const {
        const Tensor scores = executor_.backend().product(rows, Transpose::no, head, Transpose::yes);
        const auto width = static_cast<std::size_t>(scores.cols());
        const Rng rng(0, fmt::format("classes of sample {}", number));
        std::vector<std::int32_t> targets;
        for (std::int64_t row = 0; row < scores.rows(); ++row) {
            const auto values = scores.values<float>().subspan(static_cast<std::size_t>(row) * width, width);
            const auto largest = static_cast<double>(*std::ranges::max_element(values));
            std::vector<double> sums;
            double sum = 0;
            for (const float value : values) {
                sum += std::exp(static_cast<double>(value) - largest);
                sums.push_back(sum);
            }
            const double drawn = rng.uniform(static_cast<std::uint64_t>(row)) * sum;
            const auto found = std::ranges::upper_bound(sums, drawn);
            targets.push_back(static_cast<std::int32_t>(std::min(found, sums.end() - 1) - sums.begin()));
        }
        return targets;
    }

    /// Through a block that `recording` holds; returns the gradient of its input.
    Tensor backward(const Block& block, const Recording& recording, const Tensor& slope,
                    std::int64_t number) {
        Gradients gradients;
        gradients.want_input = true;
        for (const auto& use : graph_.linears(block.nodes))
            if (result_.fisher.contains(use.parameter))
                gradients.parameters.emplace(use.parameter,
                                             Tensor::zeros(graph_.parameter(use.parameter).shape));
        executor_.backward(block, recording, weights_, slope, gradients,
                           [&](NodeId node, const Tensor& gradient) { weigh(node, gradient, number); });
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
    void weigh(NodeId node, const Tensor& gradient, std::int64_t number) {
        const auto found = result_.token_weights.find(node);
        if (found == result_.token_weights.end()) return;
        const std::int64_t rows = gradient.shape().back();
        const std::int64_t tokens = gradient.size() / rows;
        const std::int64_t sets = needs_.row_sets;
        if (!found->second.defined()) found->second = Tensor::zeros({samples_.rows() * tokens, sets});
        float* out = found->second.data<float>() + number * tokens * sets;
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
    const Tensor& samples_;
    const DataNeeds& needs_;
    const std::set<ParameterId>& wanted_;
    Tensor head_;
    Weights weights_;
    GradientStatistics result_;
    std::int64_t predictions_ = 0;
};

}  // namespace

GradientStatistics gradient_statistics(const Executor& executor, const WeightSource& model,
                                       const Tensor& samples, const DataNeeds& needs,
                                       const std::set<ParameterId>& wanted) {
    require(samples.dtype() != DType::i32 || samples.cols() >= 2,
            "gradients of the next token's loss need windows of two tokens or more");
    return GradientPass(executor, model, samples, needs, wanted).run();
}

SavedState state_of(const GradientStatistics& statistics) {
    SavedState state{.words = {{"loss", nlohmann::json(statistics.loss).dump()}}, .tensors = {}};
    for (const auto& [id, fisher] : statistics.fisher)
        state.tensors.push_back({fmt::format("{}{}", fisher_prefix, id), fisher});
    for (const auto& [node, weights] : statistics.token_weights)
        state.tensors.push_back({fmt::format("{}{}", tokens_prefix, node), weights});
    return state;
}

GradientStatistics gradients_from(const SavedState& state) {
    GradientStatistics statistics;
    statistics.loss = nlohmann::json::parse(state.words.at("loss")).get<double>();
    const auto number = [](const std::string& name, std::string_view prefix) {
        return std::stoi(name.substr(prefix.size()));
    };
    for (const NamedTensor& each : state.tensors) {
        if (each.name.starts_with(fisher_prefix))
            statistics.fisher[number(each.name, fisher_prefix)] = each.tensor;
        if (each.name.starts_with(tokens_prefix))
            statistics.token_weights[number(each.name, tokens_prefix)] = each.tensor;
    }
    return statistics;
}

}  // namespace jlcm
