#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

class TopK final : public Operator {
  public:
    explicit TopK(TopKAttributes attributes) : top_(attributes) {
        require(top_.count > 0, "top_k: {} elements", top_.count);
    }
    std::string_view kind() const override { return "top_k"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(!inputs[0].empty() && top_.count <= inputs[0].back(), "top_k: {} elements of shape {}",
                top_.count, to_string(inputs[0]));
        Shape shape = inputs[0];
        shape.back() = top_.count;
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor x = loops::numbers(context.input(0));
        Tensor y = Tensor::empty(infer(std::vector<Shape>{x.shape()}, {}), x.dtype());
        for_each_chosen(x, [&]<class T>(std::int64_t out, std::int64_t in, std::int64_t index, T value) {
            (void)in;
            y.data<T>()[out] = top_.indices ? static_cast<T>(index) : value;
        });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0) || top_.indices) return;
        const Tensor& x = context.input(0);
        Tensor dx = Tensor::zeros(x.shape(), x.dtype());
        for_each_chosen(x, [&]<class T>(std::int64_t out, std::int64_t in, std::int64_t, T) {
            dx.data<T>()[in] = context.gradient().data<T>()[out];
        });
        context.add_input_gradient(0, dx);
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t last = rule.output_shape().size() - 1;
        rule.tie_dimensions(0, 0, last);
        rule.inputs_beside(0, last);
        rule.outputs_beside(last);
        // The first of equals is chosen, and its index may be an output.
        rule.fix_dimensions(0, last, last + 1, "the position decides between equals");
        rule.fix_output_dimensions(last, last + 1, "they are sorted");
    }
    nlohmann::json attributes() const override { return top_; }

  private:
    /// Calls `body(place in the output, place in x, index in the row, value)` for what is chosen of each row.
    template <class Body>
    void for_each_chosen(const Tensor& x, Body body) const {
        const std::int64_t size = x.shape().back();
        loops::with_type(x.dtype(), [&]<class T>(T) {
            parallel_for(x.size() / size, std::max<std::int64_t>(1, loops::grain / size),
                         [&](std::int64_t begin, std::int64_t end) {
                             std::vector<std::int64_t> order(static_cast<std::size_t>(size));
                             for (std::int64_t row = begin; row < end; ++row) {
                                 const T* values = x.data<T>() + row * size;
                                 std::iota(order.begin(), order.end(), 0);
                                 std::partial_sort(order.begin(), order.begin() + top_.count, order.end(),
                                                   [&](std::int64_t a, std::int64_t b) {
                                                       return comes_before(values, a, b);
                                                   });
                                 for (std::int64_t k = 0; k < top_.count; ++k) {
                                     const std::int64_t index = order[static_cast<std::size_t>(k)];
                                     body(row * top_.count + k, row * size + index, index, values[index]);
                                 }
                             }
                         });
        });
    }
    /// A strict order: NaN before all numbers, the first of equals, or where asked for the last of them.
    template <class T>
    [[nodiscard]] bool comes_before(const T* values, std::int64_t a, std::int64_t b) const {
        const bool is_nan_a = std::isnan(values[a]);
        const bool is_nan_b = std::isnan(values[b]);
        if (is_nan_a != is_nan_b) return is_nan_a;
        if (!is_nan_a && values[a] != values[b]) return top_.largest == (values[a] > values[b]);
        return top_.last_of_equals ? a > b : a < b;
    }

    TopKAttributes top_;
};

}  // namespace

OperatorPtr make_top_k(TopKAttributes attributes) {
    return std::make_shared<TopK>(attributes);
}

}  // namespace jlcm
