#pragma once
// What a node of the graph computes. An operator is immutable and holds no tensors: values and parameters
// come in with each call, memory comes from the backend.

#include "core/backend/backend.hpp"
#include "core/tensor/tensor.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace jlcm {

/// What a forward call gets. References live for the call.
class ForwardContext {
  public:
    virtual ~ForwardContext() = default;
    [[nodiscard]] virtual Backend& backend() const = 0;
    [[nodiscard]] virtual std::size_t inputs() const = 0;
    [[nodiscard]] virtual const Tensor& input(std::size_t i) const = 0;
    /// The same input converted to `type`; nodes that read one value share the converted copy.
    [[nodiscard]] virtual const Tensor& input_as(std::size_t i, DType type) const = 0;
    /// A parameter as a tensor; a packed one is decoded, for as long as the node runs.
    [[nodiscard]] virtual const Tensor& parameter(std::size_t i) const = 0;
    /// A parameter as it is bound, dense or packed (Operator::takes_packed).
    [[nodiscard]] virtual const BoundWeight& weight(std::size_t i) const = 0;
    /// What products inside the operator (attention) are made of: float32, bfloat16 or float64.
    [[nodiscard]] virtual DType compute() const = 0;
    /// Keeps a tensor for the backward; does nothing where no backward will follow.
    virtual void save(Tensor tensor) const = 0;
    /// Where the backend keeps what it makes of parameter i; null if that is packed, or nothing can be kept.
    [[nodiscard]] virtual PreparedWeight* prepared(std::size_t i) const = 0;
    /// Tokens of each sequence that were read before: the position of the first of these.
    [[nodiscard]] virtual std::int64_t position() const = 0;
    /// Keys and values of those tokens, for this node; null if no state is kept.
    [[nodiscard]] virtual KeyValueCache* cache() const = 0;
};

/// What a backward call gets: the forward's inputs, output and saved tensors, and the gradient of the output.
class BackwardContext : public ForwardContext {
  public:
    [[nodiscard]] virtual const Tensor& output() const = 0;
    [[nodiscard]] virtual const Tensor& saved(std::size_t i) const = 0;
    [[nodiscard]] virtual const Tensor& gradient() const = 0;
    [[nodiscard]] virtual const Tensor& gradient_as(DType type) const = 0;
    [[nodiscard]] virtual bool wants_input(std::size_t i) const = 0;
    /// The accumulator of a parameter's gradient, or null where nobody asked for it.
    [[nodiscard]] virtual Tensor* parameter_gradient(std::size_t i) const = 0;
    /// Whether anybody asked for a parameter's gradient.
    [[nodiscard]] virtual bool wants_parameter(std::size_t i) const = 0;
    /// Adds to the gradient of parameter i, if it is wanted.
    virtual void add_parameter_gradient(std::size_t i, const Tensor& gradient) const = 0;
    /// Adds gradient^T input ([rows, out]^T [rows, in], one type) to the gradient of parameter i, if it is
    /// wanted.
    virtual void add_weight_gradient(std::size_t i, const Tensor& gradient, const Tensor& input) const = 0;
    /// Adds to the gradient of input i, taking the tensor over where it is the first.
    virtual void add_input_gradient(std::size_t i, Tensor gradient) const = 0;
    /// The accumulator of input i's gradient for an operator that can add in place; undefined tensor where it
    /// is the first.
    [[nodiscard]] virtual Tensor& input_gradient(std::size_t i) const = 0;
};

class PermutationRule;

class Operator {
  public:
    Operator() = default;
    Operator(const Operator&) = delete;
    Operator& operator=(const Operator&) = delete;
    virtual ~Operator() = default;

    /// "linear", "rms_norm", ...
    [[nodiscard]] virtual std::string_view kind() const = 0;
    /// The output's shape; throws an input error where the inputs do not fit.
    [[nodiscard]] virtual Shape infer(std::span<const Shape> inputs,
                                      std::span<const Shape> parameters) const = 0;
    [[nodiscard]] virtual Tensor forward(const ForwardContext& context) const = 0;
    virtual void backward(const BackwardContext& context) const = 0;

    /// Whether forward() reads parameter i by ForwardContext::weight alone: a packed one is decoded by parts, or
    /// read by kernels on codes. Of others each forward decodes it as a whole. A backward needs dense ones.
    [[nodiscard]] virtual bool takes_packed(std::size_t i) const {
        (void)i;
        return false;
    }

    /// The shape of what is cached of one sequence; none: the operator keeps nothing of earlier tokens.
    [[nodiscard]] virtual std::optional<CacheShape> cache_shape() const { return std::nullopt; }

    /// Whether forward_through() is there.
    [[nodiscard]] virtual bool takes_epilogue() const { return false; }
    /// The forward and what follows on its output (fuse), in one pass.
    [[nodiscard]] virtual Tensor forward_through(const ForwardContext& context,
                                                 const Epilogue& epilogue) const;
    /// Adds itself to the epilogue of what makes its input i, a value of shape `value` that is not there yet
    /// (all its other inputs are); false: it cannot.
    [[nodiscard]] virtual bool fuse(Epilogue& epilogue, const ForwardContext& context, std::size_t i,
                                    const Shape& value) const {
        (void)epilogue;
        (void)context;
        (void)i;
        (void)value;
        return false;
    }

    /// With kind(), what the operator can be made of again (graph_json.hpp); an object.
    [[nodiscard]] virtual nlohmann::json attributes() const;

    /// Of an operator with a linear weight, its parameter 0: the rows that the weight's rows are multiplied
    /// with, [.., columns of the weight] in the weight's type. Unless said otherwise input 0. A weight of
    /// several groups (consecutive rows, equally many) has [groups, .., columns], each its own.
    [[nodiscard]] virtual Tensor weight_inputs(const ForwardContext& context) const;
    [[nodiscard]] virtual std::int64_t weight_groups() const { return 1; }
    /// What tells apart the weight inputs of operators that read one value: the same text, the same rows.
    [[nodiscard]] virtual std::string weight_inputs_key() const { return ""; }

    /// How an order of its features goes through it (permutation.hpp). Unless said otherwise nothing moves.
    virtual void permutation_rule(PermutationRule& rule) const;
    /// Multiply-adds of a forward, times two, for progress and plans.
    [[nodiscard]] virtual double flops(std::span<const Shape> inputs,
                                       std::span<const Shape> parameters) const {
        (void)inputs;
        (void)parameters;
        return 0.0;
    }
};

using OperatorPtr = std::shared_ptr<const Operator>;

/// How the rotary angles of long contexts are stretched (Hugging Face `rope_scaling`).
struct RotaryScaling {
    enum class Kind : std::uint8_t { none, linear, llama3, yarn, long_rope };
    Kind kind = Kind::none;
    double factor = 1.0;
    double low_frequency_factor = 1.0;   ///< llama3
    double high_frequency_factor = 4.0;  ///< llama3
    double original_context = 8192;      ///< llama3, yarn, long_rope
    double fast_turns = 32.0;            ///< yarn: in the original context; faster pairs are kept
    double slow_turns = 1.0;             ///< yarn: slower pairs are divided by the factor
    bool whole_pairs = true;             ///< yarn: both limits are rounded to pairs
    double magnitude = 1.0;              ///< yarn, long_rope: cosines and sines times this
    /// long_rope: what frequencies are divided by, pair for pair, in texts up to the original context, and in longer
    /// ones.
    std::vector<double> short_factors = {};
    std::vector<double> long_factors = {};
};

/// What attentions differ in beside their heads.
struct AttentionOptions {
    bool causal = true;
    double scale = 0;         ///< of scores; 0: one over the root of head_dim
    double soft_cap = 0;      ///< of scores (Unary::soft_cap); 0: none
    std::int64_t window = 0;  ///< tokens that one attends to, itself the last; 0: all before it
};

/// y = x W^T + b; parameters: W [out, in], b [out] where `bias`.
[[nodiscard]] OperatorPtr make_linear(bool bias = false);
/// Rows of the parameter [vocabulary, width] by int32 ids.
[[nodiscard]] OperatorPtr make_embedding();
/// Of ids [sequences, length] the rows offset, offset + 1, ... of the parameter [positions, width]: [1,
/// length, width].
[[nodiscard]] OperatorPtr make_positions(std::int64_t offset = 0);
/// Parameter: weight [width], to which `offset` is added; features are rows of that width one after the other, each
/// with a norm of its own. Zhang & Sennrich, "Root mean square layer normalization", 2019.
[[nodiscard]] OperatorPtr make_rms_norm(double epsilon, double offset = 0);
/// Rotary position embedding, rotate-half form; inputs [sequences, length, heads * head_dim]. `turned`: the first
/// features of each head, which alone turn; 0: all. Su et al., "RoFormer", 2021; scalings: rotary_frequencies.hpp.
[[nodiscard]] OperatorPtr make_rotary(std::int64_t head_dim, double base, RotaryScaling scaling = {},
                                      std::int64_t turned = 0);
/// Inputs q, k, v [sequences, length, heads * head_dim].
[[nodiscard]] OperatorPtr make_attention(std::int64_t query_heads, std::int64_t key_heads,
                                         std::int64_t head_dim, const AttentionOptions& options);
[[nodiscard]] OperatorPtr make_attention(std::int64_t query_heads, std::int64_t key_heads,
                                         std::int64_t head_dim, bool causal);
[[nodiscard]] OperatorPtr make_unary(UnaryFunction function);
/// Inputs broadcast as numpy's.
[[nodiscard]] OperatorPtr make_binary(Binary function);

}  // namespace jlcm
