#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class CumulativeSum final : public Operator {
  public:
    explicit CumulativeSum(CumulativeSumAttributes attributes) : sum_(attributes) {}
    std::string_view kind() const override { return "cumulative_sum"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(!inputs[0].empty(), "cumulative_sum: of one number");
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        return sums(loops::numbers(context.input(0)), sum_.reverse);
    }
    // Element i goes into the sums from i on: their gradients summed from the other end.
    void backward(const BackwardContext& context) const override {
        if (context.wants_input(0)) context.add_input_gradient(0, sums(context.gradient(), !sum_.reverse));
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t last = rule.output_shape().size() - 1;
        rule.tie_dimensions(0, 0, last);
        rule.inputs_beside(0, last);
        rule.outputs_beside(last);
        rule.fix_dimensions(0, last, last + 1, "a cumulative sum goes by the position");
        rule.fix_output_dimensions(last, last + 1, "a cumulative sum goes by the position");
    }
    nlohmann::json attributes() const override { return sum_; }

  private:
    [[nodiscard]] Tensor sums(const Tensor& x, bool reverse) const {
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        const std::int64_t size = x.shape().back();
        const std::int64_t rows = size == 0 ? 0 : x.size() / size;
        loops::with_type(x.dtype(), [&]<class T>(T) {
            parallel_for(rows, std::max<std::int64_t>(1, loops::grain / std::max<std::int64_t>(size, 1)),
                         [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t row = begin; row < end; ++row) {
                                 const T* in = x.data<T>() + row * size;
                                 T* out = y.data<T>() + row * size;
                                 T total = 0;
                                 for (std::int64_t k = 0; k < size; ++k) {
                                     const std::int64_t i = reverse ? size - 1 - k : k;
                                     const T before = total;
                                     total += in[i];
                                     out[i] = sum_.exclusive ? before : total;
                                 }
                             }
                         });
        });
        return y;
    }

    CumulativeSumAttributes sum_;
};

}  // namespace

OperatorPtr make_cumulative_sum(CumulativeSumAttributes attributes) {
    return std::make_shared<CumulativeSum>(attributes);
}

}  // namespace jlcm
