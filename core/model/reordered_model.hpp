#pragma once
// A model whose features have another order: the same function, other rows and columns.

#include "core/graph/permutation.hpp"
#include "core/model/model.hpp"

namespace jlcm {

/// Serves the weights of `base` (which must outlive it) in another order.
class ReorderedModel final : public WeightSource {
  public:
    ReorderedModel(const WeightSource& base, const PermutationAnalysis& analysis,
                   const Permutations& permutations);

    [[nodiscard]] const Graph& graph() const override { return base_->graph(); }
    [[nodiscard]] Tensor weight(ParameterId id) const override;
    [[nodiscard]] std::shared_ptr<const PackedWeight> packed(ParameterId id) const override {
        return reordered(base_->packed(id), rows(id), columns(id));
    }
    [[nodiscard]] const WeightSource& base() const { return *base_; }

    /// Row i is the base's row rows(id)[i]; columns alike. Empty: in place.
    [[nodiscard]] const std::vector<std::int32_t>& rows(ParameterId id) const { return orders_of(id).rows; }
    [[nodiscard]] const std::vector<std::int32_t>& columns(ParameterId id) const {
        return orders_of(id).columns;
    }

  private:
    struct Orders {
        std::vector<std::int32_t> rows;
        std::vector<std::int32_t> columns;
    };
    [[nodiscard]] const Orders& orders_of(ParameterId id) const {
        return orders_.at(static_cast<std::size_t>(id));
    }

    const WeightSource* base_;
    std::vector<Orders> orders_;
};

/// Encoded bytes that own themselves.
struct ReorderedTensor {
    StoredTensor stored;
    std::shared_ptr<const void> owner;
};

/// The encoding of a tensor whose rows or columns move: its own, or float16 if values change their block.
[[nodiscard]] Encoding reordered_encoding(const StoredTensor& stored, bool columns_move);

/// An encoded tensor in another order of rows and columns (empty: in place). It keeps its encoding, to the
/// bit, unless columns move that are encoded in blocks: then it becomes float16. An input error where a value
/// is beyond float16's range.
[[nodiscard]] ReorderedTensor reorder(const StoredTensor& stored, const std::vector<std::int32_t>& rows,
                                      const std::vector<std::int32_t>& columns);

}  // namespace jlcm
