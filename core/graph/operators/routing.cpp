#include "core/base/json.hpp"
#include "core/graph/expert_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

class Routing final : public Operator {
  public:
    Routing(std::int64_t chosen, bool normalised) : chosen_(chosen), normalised_(normalised) {
        require(chosen > 0, "routing: {} experts for each token", chosen);
    }
    std::string_view kind() const override { return "routing"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(!inputs[0].empty() && inputs[0].back() >= chosen_, "routing: {} of the experts of shape {}",
                chosen_, shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        Tensor weights = context.backend().softmax_rows(context.input(0));
        context.save(weights.clone());
        by_row(weights, [&]<class T>(T* row, std::int64_t /*index*/, std::int64_t experts) {
            const std::vector<std::int64_t> order = by_weight(row, experts);
            T sum = 0;
            for (std::int64_t i = 0; i < experts; ++i) {
                T& weight = row[order[static_cast<std::size_t>(i)]];
                if (i < chosen_)
                    sum += weight;
                else
                    weight = T(0);
            }
            if (normalised_)
                for (std::int64_t i = 0; i < experts; ++i) row[i] /= sum;
        });
        return weights;
    }
    // y = p / s over the chosen, s their sum (or 1):  dp = (g - sum g y) / s (or g), of others 0; then a softmax's.
    void backward(const BackwardContext& context) const override {
        const Tensor& probabilities = context.saved(0);
        Tensor slopes = context.gradient().clone();
        by_row(slopes, [&]<class T>(T* row, std::int64_t index, std::int64_t experts) {
            const T* p = probabilities.data<T>() + index * experts;
            const std::vector<std::int64_t> order = by_weight(p, experts);
            T sum = 0;
            T mean = 0;
            for (std::int64_t i = 0; i < experts; ++i) {
                const std::int64_t expert = order[static_cast<std::size_t>(i)];
                if (i >= chosen_) row[expert] = T(0);
                sum += i < chosen_ ? p[expert] : T(0);
                mean += row[expert] * p[expert];
            }
            if (!normalised_) return;
            for (std::int64_t i = 0; i < chosen_; ++i) {
                T& slope = row[order[static_cast<std::size_t>(i)]];
                slope = (slope - mean / sum) / sum;
            }
        });
        context.add_input_gradient(0, context.backend().softmax_rows_backward(probabilities, slopes));
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t dimensions = rule.input_shape(0).size();
        rule.tie_dimensions(0, 0, dimensions - 1);
        rule.fix_dimensions(0, dimensions - 1, dimensions, "experts are told apart by their number");
        rule.fix_output_dimensions(dimensions - 1, dimensions, "experts are told apart by their number");
    }
    nlohmann::json attributes() const override { return {{"chosen", chosen_}, {"normalised", normalised_}}; }

  private:
    /// Calls `body(row, its number, its length)` for the rows of x.
    template <class Body>
    static void by_row(Tensor& x, Body body) {
        const std::int64_t experts = x.shape().back();
        loops::with_type(x.dtype(), [&]<class T>(T) {
            parallel_for(x.size() / experts, std::max<std::int64_t>(1, loops::grain / experts),
                         [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t r = begin; r < end; ++r)
                                 body(x.data<T>() + r * experts, r, experts);
                         });
        });
    }

    /// The chosen experts, the heaviest first, then all others. NaN counts as heaviest, so that it shows.
    template <class T>
    std::vector<std::int64_t> by_weight(const T* weights, std::int64_t experts) const {
        std::vector<std::int64_t> order(static_cast<std::size_t>(experts));
        std::iota(order.begin(), order.end(), 0);
        const auto key = [&](std::int64_t i) {
            return std::isnan(weights[i]) ? std::numeric_limits<T>::infinity() : weights[i];
        };
        std::partial_sort(
            order.begin(), order.begin() + chosen_, order.end(),
            [&](std::int64_t a, std::int64_t b) { return key(a) > key(b) || (key(a) == key(b) && a < b); });
        return order;
    }

    std::int64_t chosen_;
    bool normalised_;
};

}  // namespace

OperatorPtr make_routing(std::int64_t chosen, bool normalised) {
    return std::make_shared<Routing>(chosen, normalised);
}

}  // namespace jlcm
