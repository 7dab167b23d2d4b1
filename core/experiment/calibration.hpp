#pragma once
// What calibration and learning look at: windows of tokens, and what blocks make of them.

#include "core/experiment/gradient_statistics.hpp"
#include "core/experiment/run_spec.hpp"
#include "core/graph/execution.hpp"
#include "core/model/model.hpp"

#include <map>

namespace jlcm {

/// Tokens of one forward: enough for products to be efficient, few enough for memory.
constexpr std::int64_t calibration_tokens_per_step = 2048;

/// The texts of the spec, read.
struct CalibrationTexts {
    std::vector<TextData> texts;
    std::vector<double> shares;
    /// [{"text", "text_sha256", "share"}]
    [[nodiscard]] nlohmann::json describe() const;
};
[[nodiscard]] CalibrationTexts load_calibration_texts(const CalibrationOptions& options,
                                                      const Directories& directories);

/// Windows of tokens, int32 [sequences, length].
struct CalibrationWindows {
    Tensor calibration;
    Tensor distillation;  ///< undefined without distillation; none of calibration's windows, where texts last
    std::int64_t distinct_tokens = 0;  ///< of both
};
[[nodiscard]] CalibrationWindows draw_windows(const RunSpec& spec, const CalibrationTexts& texts,
                                              const Tokenizer& tokenizer);

/// The inputs of the first block for `windows`: float32 [sequences, length, width].
[[nodiscard]] Tensor first_activations(const Executor& executor, const WeightSource& model,
                                       const Tensor& windows);

/// Puts `activations` [sequences, length, width] through a block, in place, some sequences at a time.
/// `observer` sees the inputs of linear layers of the first `observed` sequences.
void advance(const Executor& executor, const Block& block, const Weights& weights, Tensor& activations,
             const LinearObserver& observer = {}, std::int64_t observed = 0);

/// The second moments of the inputs of linear layers: sum of x x^T. Layers that read one value share one
/// matrix. With token weights (GradientStatistics) there is also, for each set of a layer's outputs, the sum
/// of x x^T weighted by them; sequences must then come in order.
class SecondMoments {
  public:
    /// `gradients` may be null.
    explicit SecondMoments(const Executor& executor, const GradientStatistics* gradients = nullptr)
        : executor_(&executor), gradients_(gradients) {}
    [[nodiscard]] LinearObserver observer();
    /// Of the input of a node: [inputs, inputs] float32, and how many inputs there were.
    [[nodiscard]] const Tensor& matrix(NodeId node) const;
    [[nodiscard]] std::int64_t samples(NodeId node) const;
    /// One for each set of the node's outputs, or none.
    [[nodiscard]] std::vector<Tensor> weighted(NodeId node) const;

  private:
    void add_weighted(NodeId node, const Tensor& input);

    struct WeightedSum {
        std::vector<Tensor> matrices;
        std::int64_t tokens = 0;  ///< seen so far
    };
    struct Sum {
        NodeId first_reader = -1;
        Tensor matrix;
        std::int64_t samples = 0;
    };
    [[nodiscard]] const Sum& sum(NodeId node) const;
    const Executor* executor_;
    const GradientStatistics* gradients_;
    std::map<ValueId, Sum> sums_;
    std::map<NodeId, WeightedSum> weighted_;
};

}  // namespace jlcm
