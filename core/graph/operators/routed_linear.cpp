#include "core/backend/few_rows.hpp"
#include "core/base/json.hpp"
#include "core/graph/expert_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>

namespace jlcm {
namespace {

constexpr std::string_view routed_linear = "routed_linear";

/// Those rows of x [.., width], or x itself if they are all.
Tensor taken(const Tensor& x, const std::vector<std::int64_t>& rows) {
    const Tensor all = x.reshape({x.size() / x.shape().back(), x.shape().back()});
    return std::ssize(rows) == all.rows() ? all : gather_rows(all, rows);
}

/// The reverse: a tensor of zeros but for those rows.
Tensor placed(const Tensor& some, const std::vector<std::int64_t>& rows, const Shape& shape) {
    if (some.size() == element_count(shape)) return some.reshape(shape);
    Tensor all = Tensor::zeros(shape, some.dtype());
    const std::size_t bytes = static_cast<std::size_t>(shape.back()) * size_of(some.dtype());
    for (std::size_t i = 0; i < rows.size(); ++i)
        std::ranges::copy(some.bytes().subspan(i * bytes, bytes),
                          all.bytes().subspan(static_cast<std::size_t>(rows[i]) * bytes, bytes).begin());
    return all;
}

class RoutedLinear final : public Operator {
  public:
    explicit RoutedLinear(double share) : share_(share) {
        require(share > 0 && share <= 1, "routed_linear: a share of {} of all rows", share);
    }
    std::string_view kind() const override { return routed_linear; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        return plain_->infer(inputs, parameters);
    }
    // The weight's type decides the precision, as for other linear layers.
    Tensor forward(const ForwardContext& context) const override {
        const BoundWeight& weight = context.weight(0);
        const Tensor& x = context.input(0);
        const DType type = weight.dtype() == DType::f64 ? DType::f64 : DType::f32;
        Shape shape = x.shape();
        shape.back() = weight.rows();
        const std::vector<std::int64_t> rows = rows_in_use(x);
        if (rows.empty()) return Tensor::zeros(shape, type);
        Tensor some = taken(x, rows);
        const bool by_codes = some.dtype() == DType::f32 && codes_for(weight, some.rows()) != nullptr;
        if (!by_codes && some.dtype() != weight.dtype())
            some = context.backend().convert(some, weight.dtype());
        Tensor y = Tensor::empty({some.rows(), weight.rows()}, type);
        context.backend().multiply(matrix(some), weight, y);
        return placed(y, rows, shape);
    }
    bool takes_packed(std::size_t i) const override { return i == 0; }

    // Rows whose gradient is zero add nothing to any other.
    void backward(const BackwardContext& context) const override {
        const Tensor& weight = context.parameter(0);
        const std::vector<std::int64_t> rows = rows_in_use(context.gradient());
        const Shape& shape = context.input(0).shape();
        if (rows.empty()) {
            if (context.wants_input(0))
                context.add_input_gradient(0, Tensor::zeros(shape, context.gradient().dtype()));
            return;
        }
        Backend& backend = context.backend();
        const Tensor gradient = backend.convert(taken(context.gradient(), rows), weight.dtype());
        context.add_weight_gradient(0, gradient,
                                    backend.convert(taken(context.input(0), rows), weight.dtype()));
        if (!context.wants_input(0)) return;
        Tensor dx = Tensor::empty({gradient.rows(), shape.back()}, context.gradient().dtype());
        backend.gemm(matrix(gradient), Transpose::no, matrix(weight), Transpose::no, dx, false);
        context.add_input_gradient(0, placed(dx, rows, shape));
    }

    void permutation_rule(PermutationRule& rule) const override { plain_->permutation_rule(rule); }
    double flops(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        return share_ * plain_->flops(inputs, parameters);
    }
    nlohmann::json attributes() const override { return {{"share", share_}}; }

  private:
    OperatorPtr plain_ = make_linear();  ///< the same of all rows
    double share_;
};

}  // namespace

std::vector<std::int64_t> rows_in_use(const Tensor& x) {
    const std::int64_t width = x.shape().back();
    std::vector<std::int64_t> rows;
    const auto collect = [&](const auto* values, const auto& is_zero) {
        for (std::int64_t r = 0; r < x.size() / width; ++r)
            if (!std::all_of(values + r * width, values + (r + 1) * width, is_zero)) rows.push_back(r);
    };
    if (x.dtype() == DType::bf16) {
        constexpr std::uint16_t magnitude = 0x7fff;
        collect(x.data<std::uint16_t>(), [](std::uint16_t bits) { return (bits & magnitude) == 0; });
    } else {
        loops::with_type(x.dtype(),
                         [&]<class T>(T) { collect(x.data<T>(), [](T value) { return value == T(0); }); });
    }
    return rows;
}

bool reads_routed_rows(const Operator& op) {
    return op.kind() == routed_linear;
}

OperatorPtr make_routed_linear(double share) {
    return std::make_shared<RoutedLinear>(share);
}

}  // namespace jlcm
