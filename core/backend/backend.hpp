#pragma once
// The seam between computations and devices: every operator of the graph and every bulk step of
// learning is a function of this interface, on tensors of the backend's device. Today that device is the CPU.
//
// Shapes are row-major. A "row" is the last dimension; leading dimensions are flattened if a function is
// said to work on rows. float32 is the working type; float64 is supported by everything except what says
// otherwise (it is what finite differences are checked in); bfloat16 is an input type of `gemm` and
// `attention` with float32 accumulation.

#include "core/backend/coded_matrix.hpp"
#include "core/backend/default_backend.hpp"
#include "core/backend/functions.hpp"
#include "core/backend/key_value_cache.hpp"
#include "core/backend/weight.hpp"
#include "core/backend/windows.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// A matrix inside a tensor: `rows` x `cols` elements from element `offset` on, `stride` elements from row to
/// row. Shares the tensor's memory.
struct MatrixView {
    Tensor tensor;
    std::int64_t offset = 0;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;
};

/// The whole tensor as a matrix: leading dimensions flattened into rows.
[[nodiscard]] MatrixView matrix(const Tensor& tensor);
/// `rows` rows of that matrix from `row` on, and `cols` of its columns from `col` on.
[[nodiscard]] MatrixView submatrix(const Tensor& tensor, std::int64_t row, std::int64_t rows,
                                   std::int64_t col, std::int64_t cols);

enum class Transpose : std::uint8_t { no, yes };

/// Attention over [sequences, length, heads * head_dim]: softmax(scale q k^T) v, query heads in groups that
/// share a key/value head (grouped-query attention).
struct AttentionShape {
    std::int64_t sequences = 0;
    std::int64_t length = 0;
    std::int64_t query_heads = 0;
    std::int64_t key_heads = 0;
    std::int64_t head_dim = 0;
    bool causal = true;
    double scale = 1.0;
    /// Scores are capped by this (Unary::soft_cap); 0: they are not.
    double soft_cap = 0;
    /// Tokens that one attends to, itself and those right before it; 0: all. Causal attention only.
    std::int64_t window = 0;

    /// The first key that the query at `position` attends to.
    [[nodiscard]] std::int64_t first_key(std::int64_t position) const {
        return window > 0 && position >= window ? position + 1 - window : 0;
    }

    [[nodiscard]] std::int64_t query_width() const { return query_heads * head_dim; }
    [[nodiscard]] std::int64_t key_width() const { return key_heads * head_dim; }
};

/// Which elements of a tensor: `offset` + sum of index times step over the dimensions, in elements.
struct Strides {
    std::int64_t offset = 0;
    std::vector<std::int64_t> steps;
};
/// The strides of a dense tensor of that shape.
[[nodiscard]] Strides strides_of(const Shape& shape);

/// Per-token figures of a prediction against its target, and against another model's prediction.
struct TokenScores {
    std::vector<float> nll;            ///< -log p(target), nats; 0 if the target is negative
    std::vector<float> reference_nll;  ///< the reference's -log p(target); empty without a reference
    std::vector<float> kl;  ///< KL(reference || model), nats, not finite if a logit is not; empty without one
    std::vector<std::uint8_t>
        agree;  ///< 1 if both have the same most likely token, 0 if KL is not finite; empty without one
};

/// One step of Adam with all that depends on the step's number folded in.
struct AdamStep {
    float rate = 0;  ///< learning rate
    float beta1 = 0;
    float beta2 = 0;
    float correction1 = 1;  ///< 1 / (1 - beta1^t)
    float correction2 = 1;  ///< 1 / (1 - beta2^t)
    float epsilon = 0;
};

/// Further steps on a result while it is still in cache: y = function(y * scale + shift + residual). What is
/// not there is left out.
struct Epilogue {
    Tensor scale;     ///< of each channel of the last dimension
    Tensor shift;     ///< defined if `scale` is
    Tensor residual;  ///< as many elements as y
    std::optional<UnaryFunction> function;
};

/// Keeps what a backend makes of a weight for its kernels (packed layouts). Belongs to one value of
/// one weight. Thread-safe.
class PreparedWeight {
  public:
    /// What is kept here, made by the first caller; all callers name one type.
    template <class Made>
    [[nodiscard]] Made& get() {
        const std::lock_guard lock(mutex_);
        if (!made_) made_ = std::make_shared<Made>();
        return *static_cast<Made*>(made_.get());
    }

  private:
    std::mutex mutex_;
    std::shared_ptr<void> made_;
};

class Backend {
  public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    /// "cpu (avx512, bfloat16 by AMX)": goes into result.json.
    [[nodiscard]] virtual std::string describe() const = 0;
    /// Whether bfloat16 products are done by hardware.
    [[nodiscard]] virtual bool has_bfloat16() const = 0;

    // ---- matrix products
    // -------------------------------------------------------------------------------------
    /// c = op(a) op(b), or c += with `accumulate`. a and b have one type: float32, bfloat16 (c is float32) or
    /// float64.
    virtual void gemm(const MatrixView& a, Transpose ta, const MatrixView& b, Transpose tb, Tensor& c,
                      bool accumulate) = 0;
    /// The same with a new result of `rows(op(a)) x cols(op(b))`.
    [[nodiscard]] Tensor product(const Tensor& a, Transpose ta, const Tensor& b, Transpose tb);
    /// c = a W^T for rows a [m, columns of W] of the weight's type; float32 c [m, rows of W]. A packed weight
    /// gives the same bits as the dense one that it decodes to.
    virtual void multiply(const MatrixView& a, const BoundWeight& weight, Tensor& c) = 0;
    /// The same with a new result.
    [[nodiscard]] Tensor product(const Tensor& a, const BoundWeight& weight);
    /// gram += x^T x over the rows of x (float32 or bfloat16 x, float32 gram [cols, cols]; both triangles are
    /// kept).
    virtual void accumulate_gram(const Tensor& x, Tensor& gram) = 0;
    /// A copy in another floating-point type.
    [[nodiscard]] virtual Tensor convert(const Tensor& x, DType type) = 0;

    // ---- element-wise
    // -----------------------------------------------------------------------------------------
    virtual void fill(Tensor& x, double value) = 0;
    /// y += factor * x
    virtual void add_scaled(Tensor& y, const Tensor& x, double factor) = 0;
    [[nodiscard]] virtual double sum_of_squares(const Tensor& x) = 0;
    /// Sum over all elements of a b, in float64; chunks are added in a fixed order.
    [[nodiscard]] virtual double dot(const Tensor& a, const Tensor& b) = 0;
    [[nodiscard]] virtual Tensor unary(const UnaryFunction& function, const Tensor& x) = 0;
    [[nodiscard]] virtual Tensor unary_backward(const UnaryFunction& function, const Tensor& x,
                                                const Tensor& gradient) = 0;
    [[nodiscard]] virtual Tensor binary(Binary function, const Tensor& a, const Tensor& b) = 0;
    /// Gradients of a and b.
    virtual void binary_backward(Binary function, const Tensor& a, const Tensor& b, const Tensor& gradient,
                                 Tensor& da, Tensor& db) = 0;
    /// y[r, :] += bias, and its backward: bias_gradient += sum over rows.
    virtual void add_bias(Tensor& y, const Tensor& bias) = 0;
    virtual void bias_backward(const Tensor& gradient, Tensor& bias_gradient) = 0;

    /// A copy of x (float32 or bfloat16) with row r times factors[r].
    [[nodiscard]] virtual Tensor scale_rows(const Tensor& x, std::span<const float> factors) = 0;

    // ---- rows
    // -------------------------------------------------------------------------------------------------
    /// y = x / sqrt(mean(x^2) + epsilon) * weight over each row. `inverse_rms` [rows] is kept for the
    /// backward.
    [[nodiscard]] virtual Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon,
                                          Tensor& inverse_rms) = 0;
    /// Returns dx; adds to `weight_gradient` if it is not null.
    [[nodiscard]] virtual Tensor rms_norm_backward(const Tensor& x, const Tensor& weight,
                                                   const Tensor& inverse_rms, const Tensor& gradient,
                                                   Tensor* weight_gradient) = 0;
    /// Rotary position embedding, rotate-half form: pairs (i, i + n) of each head, for cosine/sine [length,
    /// n]; features from 2 n on stay as they are. `inverse` turns the other way, which is the backward.
    [[nodiscard]] virtual Tensor rotary(const Tensor& x, std::int64_t head_dim, const Tensor& cosine,
                                        const Tensor& sine, bool inverse) = 0;
    /// rows of `table` [vocabulary, width] by ids [sequences, length].
    [[nodiscard]] virtual Tensor embedding(const Tensor& ids, const BoundWeight& table) = 0;
    /// table_gradient[id] += gradient row, in the order of the tokens.
    virtual void embedding_backward(const Tensor& ids, const Tensor& gradient, Tensor& table_gradient) = 0;

    // ---- images [images, height, width, channels]
    // ------------------------------------------------------------------------------------------------
    /// The convolution of x (float32, bfloat16 or float64; the weight alike) with `weight`, and what follows
    /// on it: float32 or float64 [images, out height, out width, outputs]. `bias` may be null, and so may
    /// `prepared`, which goes with the weight.
    [[nodiscard]] virtual Tensor convolution(const Convolution& shape, const Tensor& x, const Tensor& weight,
                                             const Tensor* bias, const Epilogue& epilogue,
                                             PreparedWeight* prepared) = 0;
    /// The gradient of x, from that of the output.
    [[nodiscard]] virtual Tensor convolution_input_gradient(const Convolution& shape, const Tensor& weight,
                                                            const Tensor& gradient) = 0;
    /// weight_gradient += the gradient of the weight.
    virtual void convolution_weight_gradient(const Convolution& shape, const Tensor& x,
                                             const Tensor& gradient, Tensor& weight_gradient) = 0;
    /// The inputs of each row of the weight: [groups, windows, columns], or [windows, columns] if there
    /// is one group.
    [[nodiscard]] virtual Tensor patches(const Convolution& shape, const Tensor& x) = 0;
    [[nodiscard]] virtual Tensor pool(const Windows& windows, Pooling pooling, const Tensor& x) = 0;
    /// The gradient of x; a maximum's goes to the first of equal ones.
    [[nodiscard]] virtual Tensor pool_backward(const Windows& windows, Pooling pooling, const Tensor& x,
                                               const Tensor& gradient) = 0;
    /// y[.., c] = x[.., c] * scale[c] + shift[c]
    [[nodiscard]] virtual Tensor scale_and_shift(const Tensor& x, const Tensor& scale,
                                                 const Tensor& shift) = 0;

    // ---- rows, and batches of matrices
    // --------------------------------------------------------------------------------------------
    /// (x - mean) / sqrt(variance + epsilon) of each row; 1 / sqrt(..) [rows] for the backward if asked
    /// for.
    [[nodiscard]] virtual Tensor normalise_rows(const Tensor& x, double epsilon,
                                                Tensor* inverse_deviation) = 0;
    /// The gradient of x, from what normalise_rows returned.
    [[nodiscard]] virtual Tensor normalise_rows_backward(const Tensor& normalised,
                                                         const Tensor& inverse_deviation,
                                                         const Tensor& gradient) = 0;
    [[nodiscard]] virtual Tensor softmax_rows(const Tensor& x) = 0;
    /// Its logarithm, x - log(sum exp x), which no underflow reaches.
    [[nodiscard]] virtual Tensor log_softmax_rows(const Tensor& x) = 0;
    [[nodiscard]] virtual Tensor log_softmax_rows_backward(const Tensor& log_probabilities,
                                                           const Tensor& gradient) = 0;
    [[nodiscard]] virtual Tensor softmax_rows_backward(const Tensor& probabilities,
                                                       const Tensor& gradient) = 0;
    /// c[i] = op(a[i]) op(b[i]) for matrices in the last two dimensions; float32 or float64.
    virtual void batched_gemm(const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, Tensor& c) = 0;

    // ---- any shape
    // --------------------------------------------------------------------------------------------
    /// to = from, or to += from, element by element over `extents`, each side by its own strides.
    virtual void copy_strided(const Shape& extents, const Tensor& from, const Strides& from_strides,
                              Tensor& to, const Strides& to_strides, bool accumulate) = 0;

    // ---- attention
    // --------------------------------------------------------------------------------------------
    /// `compute` bf16: products of bfloat16 inputs. `log_sums` [sequences, query_heads, length] is kept for
    /// the backward.
    [[nodiscard]] virtual Tensor attention(const AttentionShape& shape, const Tensor& q, const Tensor& k,
                                           const Tensor& v, DType compute, Tensor& log_sums) = 0;
    virtual void attention_backward(const AttentionShape& shape, const Tensor& q, const Tensor& k,
                                    const Tensor& v, const Tensor& output, const Tensor& log_sums,
                                    const Tensor& gradient, DType compute, Tensor& dq, Tensor& dk,
                                    Tensor& dv) = 0;

    /// Attention of the last shape.length tokens of `cache`, whose queries are `q` [sequences, length, query
    /// heads * head_dim] (float32), over all its tokens, each over those before it and itself if causal.
    [[nodiscard]] virtual Tensor cached_attention(const AttentionShape& shape, const Tensor& q,
                                                  const KeyValueCache& cache) = 0;

    // ---- vocabulary
    // -------------------------------------------------------------------------------------------
    /// Scores of next-token predictions from features [tokens, width] and a head [vocabulary, width] of the
    /// same type, logits made in tiles. With `reference` features (and head) also KL and agreement. float32
    /// or bfloat16. `soft_cap` here and below: logits are capped by it (Unary::soft_cap); 0: they are not.
    [[nodiscard]] virtual TokenScores score_tokens(const Tensor& features, const BoundWeight& head,
                                                   std::span<const std::int32_t> targets,
                                                   const Tensor* reference, const BoundWeight* reference_head,
                                                   double soft_cap) = 0;
    /// Sum over tokens of KL(reference || model); `feature_gradient` [tokens, width] float32 receives factor
    /// * its gradient with respect to the features, and `head_gradient` [vocabulary, width] float32, unless null,
    /// has that with respect to the head added.
    [[nodiscard]] virtual double kl_backward(const Tensor& features, const Tensor& head,
                                             const Tensor& reference, const Tensor& reference_head,
                                             double soft_cap, double factor, Tensor& feature_gradient,
                                             Tensor* head_gradient) = 0;

    /// Sum over tokens of -log p(target), tokens with a negative target left out; `feature_gradient` [tokens,
    /// width] float32 receives factor * its gradient with respect to the features.
    [[nodiscard]] virtual double cross_entropy_backward(const Tensor& features, const Tensor& head,
                                                        std::span<const std::int32_t> targets,
                                                        double soft_cap, double factor,
                                                        Tensor& feature_gradient) = 0;

    // ---- learning
    // ---------------------------------------------------------------------------------------------
    /// loss = sum (a - b)^2; gradient = 2 factor (a - b). Rows are summed in a fixed order.
    [[nodiscard]] virtual double squared_error(const Tensor& a, const Tensor& b, double factor,
                                               Tensor& gradient) = 0;
    /// The values of a coded matrix, into `out` [rows, cols] of float32 or bfloat16.
    virtual void decode_codes(const CodedMatrix& matrix, Tensor& out) = 0;
    /// sums[t, k] = sum of `gradient` over the elements that read value k of table t: dL/d tables.
    [[nodiscard]] virtual Tensor table_gradient(const CodedMatrix& matrix, const Tensor& gradient,
                                                std::int64_t tables) = 0;
    /// value[i] -= rates[i / (size / rates)] * Adam direction, element-wise.
    virtual void adam(Tensor& value, const Tensor& gradient, const AdamStep& adam,
                      std::span<const double> rates, Tensor& first_moment, Tensor& second_moment) = 0;
};

}  // namespace jlcm
