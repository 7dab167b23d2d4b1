#pragma once
// A checkpoint as something that runs: its graph, its weights decoded on demand, what it reads.

#include "core/data/model_input.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/graph/execution.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace jlcm {

/// Whoever can say what the parameters of a graph are: the original model, or a compressed one over it.
class WeightSource {
  public:
    WeightSource() = default;
    WeightSource(const WeightSource&) = delete;
    WeightSource& operator=(const WeightSource&) = delete;
    virtual ~WeightSource() = default;

    [[nodiscard]] virtual const Graph& graph() const = 0;
    /// The parameter's value in float32. Decoded anew at each call; the caller owns it.
    [[nodiscard]] virtual Tensor weight(ParameterId id) const = 0;
    /// The same matrix as this source holds it, for products that decode parts of it; it lives no longer than
    /// the source. Null if there is no such form.
    [[nodiscard]] virtual std::shared_ptr<const PackedWeight> packed(ParameterId id) const {
        (void)id;
        return nullptr;
    }
};

/// A stored matrix of any encoding but integers as a packed weight; whoever holds it keeps the bytes.
[[nodiscard]] std::shared_ptr<const PackedWeight> make_packed_weight(const StoredTensor& stored);

/// The model of a checkpoint. "Full precision" is what its files decode to.
class Model final : public WeightSource {
  public:
    /// Lowers the checkpoint's architecture to a graph; an input error names what is not supported, tensors
    /// that are missing, but for those of the names `elsewhere` (whoever has them serves them), or every
    /// parameter that is not finite.
    explicit Model(Checkpoint checkpoint, const std::set<std::string>& elsewhere = {});

    [[nodiscard]] const Graph& graph() const override { return graph_; }
    [[nodiscard]] Tensor weight(ParameterId id) const override { return decode(stored(id)); }
    [[nodiscard]] std::shared_ptr<const PackedWeight> packed(ParameterId id) const override {
        return make_packed_weight(stored(id));
    }
    /// The parameter as it is encoded in the source.
    [[nodiscard]] const StoredTensor& stored(ParameterId id) const;
    [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
    [[nodiscard]] const ModelInput& input() const { return input_; }

    /// Makes every `count` consecutive blocks one (Graph::join_blocks).
    void join_blocks(std::int64_t count) { graph_.join_blocks(count); }

  private:
    Checkpoint checkpoint_;
    Graph graph_;
    ModelInput input_;
};

/// An input error names every parameter of the graph among `tensors` that holds NaN or infinity, with how
/// many and where. Constants of the graph, which may mask, may be infinite.
void require_finite(const Graph& graph, const std::map<std::string, StoredTensor>& tensors);

/// Whether the model's features are no predictions: it reads text and has no head.
[[nodiscard]] bool is_encoder(const Graph& graph, const ModelInput& input);

/// The graph of a checkpoint's configuration (config.json keys).
[[nodiscard]] Graph build_graph(const nlohmann::json& config);

/// What a model reads: images where `extra` has a "preprocess" (Preprocess), else text, if it has a
/// tokenizer.
[[nodiscard]] ModelInput make_input(const nlohmann::json& config, const nlohmann::json& extra,
                                    const TokenizerSource& tokenizer);

/// How matrices are bound: decoded, which backwards need, or as the source holds them, which lasts no longer
/// than the source.
enum class Binding : std::uint8_t { dense, packed };

/// Binds the parameters that `range` reads. Linear weights take the type `compute` (float32 or bfloat16),
/// which is what their products are made of; all others stay float32. Under Binding::packed a parameter that not
/// all its operators read packed (Operator::takes_packed) is decoded by each forward, unless it is stored in float32.
void bind_weights(Weights& weights, const WeightSource& source, NodeRange range, DType compute,
                  Backend& backend, Binding binding = Binding::dense, Products products = Products::exact);

/// What bind_weights takes for a model under Binding::packed, the head included.
struct BoundBytes {
    double mapped = 0;  ///< of files, read in place: the largest of blocks, embedding and head, one at a time
    double dense = 0;   ///< decoded
};
[[nodiscard]] BoundBytes bound_bytes(const Model& model, DType compute);

/// How a parameter is held while the model runs: "packed 2-bit codes", "Q8_0", "dense, decoded once", or "dense"
/// if it is no matrix.
[[nodiscard]] std::string held_as(const WeightSource& source, ParameterId id);

/// How each matrix of a model runs: in what form it is held, and by what it is multiplied with few rows.
struct WeightUse {
    std::string name;
    Shape shape;
    std::string held;    ///< "packed 2-bit codes", "Q8_0", "float32, decoded once"
    std::string kernel;  ///< "codes, AVX-512 VNNI", or why there is none
};
[[nodiscard]] std::vector<WeightUse> weight_uses(const WeightSource& source);

/// The head as the source holds it, for products of the type `compute`, or dense if it has no packed form.
/// Undefined if the graph has no head.
[[nodiscard]] BoundWeight bound_head(const WeightSource& source, DType compute, Backend& backend,
                                     Products products = Products::exact);

/// The head's weight in the type `compute`; not a node's parameter, hence not bound by bind_weights.
/// Undefined if the graph has no head.
[[nodiscard]] Tensor head_weight(const WeightSource& source, DType compute, Backend& backend);

}  // namespace jlcm
