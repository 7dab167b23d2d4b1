#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

#include <cmath>

namespace jlcm {
namespace {

enum Role : std::uint8_t { scale, shift, mean, variance };

class BatchNorm final : public Operator {
  public:
    explicit BatchNorm(double epsilon) : epsilon_(epsilon) {}
    std::string_view kind() const override { return "batch_norm"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        for (const Shape& parameter : parameters)
            require(!inputs[0].empty() && parameter == Shape{inputs[0].back()},
                    "batch_norm: a parameter of shape {} does not fit an input of shape {}", shown(parameter),
                    shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        const Affine map = affine(context);
        return context.backend().scale_and_shift(context.input(0), map.factor, map.offset);
    }
    bool fuse(Epilogue& epilogue, const ForwardContext& context, std::size_t /*i*/,
              const Shape& /*value*/) const override {
        if (epilogue.scale.defined() || epilogue.residual.defined() || epilogue.function) return false;
        Affine map = affine(context);
        epilogue.scale = std::move(map.factor);
        epilogue.shift = std::move(map.offset);
        return true;
    }
    void backward(const BackwardContext& context) const override {
        if (context.gradient().dtype() == DType::f64) return backward_as<double>(context);
        backward_as<float>(context);
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        for (std::size_t i = 0; i < 4; ++i) rule.tie(rule.output(), rule.parameter(i, 0));
    }
    nlohmann::json attributes() const override { return {{"epsilon", epsilon_}}; }

  private:
    template <class T>
    T inverse_deviation(const ForwardContext& context, std::size_t c) const {
        const double v = static_cast<double>(context.parameter(variance).template values<T>()[c]);
        return static_cast<T>(1.0 / std::sqrt(v + epsilon_));
    }

    /// As y = factor x + offset.
    struct Affine {
        Tensor factor;
        Tensor offset;
    };
    template <class T>
    Affine affine_as(const ForwardContext& context) const {
        Affine result{context.parameter(scale).clone(), context.parameter(shift).clone()};
        const auto factors = result.factor.values<T>();
        for (std::size_t c = 0; c < factors.size(); ++c) {
            factors[c] *= inverse_deviation<T>(context, c);
            result.offset.values<T>()[c] -= factors[c] * context.parameter(mean).template values<T>()[c];
        }
        return result;
    }
    Affine affine(const ForwardContext& context) const {
        return context.parameter(scale).dtype() == DType::f64 ? affine_as<double>(context)
                                                              : affine_as<float>(context);
    }

    // y = (x - m) s r + b with r = (v + e)^-1/2: sums of g and of g (x - m) over all pixels are all there is.
    template <class T>
    void backward_as(const BackwardContext& context) const {
        const Tensor& g = context.gradient();
        const Tensor& x = context.input(0);
        Backend& backend = context.backend();
        const auto scales = context.parameter(scale).template values<T>();
        const auto means = context.parameter(mean).template values<T>();
        if (context.wants_input(0)) {
            Tensor factor = context.parameter(scale).clone();
            for (std::size_t c = 0; c < scales.size(); ++c)
                factor.values<T>()[c] *= inverse_deviation<T>(context, c);
            context.add_input_gradient(
                0, backend.scale_and_shift(g, factor, Tensor::zeros(factor.shape(), factor.dtype())));
        }
        bool wanted = false;
        for (std::size_t i = 0; i < 4; ++i) wanted = wanted || context.parameter_gradient(i) != nullptr;
        if (!wanted) return;
        Tensor sums = Tensor::zeros(context.parameter(0).shape(), g.dtype());
        Tensor products = Tensor::zeros(context.parameter(0).shape(), g.dtype());
        backend.bias_backward(g, sums);
        backend.bias_backward(backend.binary(Binary::multiply, g, x), products);
        for (std::size_t c = 0; c < scales.size(); ++c) {
            const T r = inverse_deviation<T>(context, c);
            const T sum = sums.values<T>()[c];
            const T centred = products.values<T>()[c] - means[c] * sum;
            const auto add = [&](Role role, T value) {
                if (Tensor* slot = context.parameter_gradient(role)) slot->values<T>()[c] += value;
            };
            add(scale, centred * r);
            add(shift, sum);
            add(mean, -scales[c] * r * sum);
            add(variance, T(-0.5) * scales[c] * centred * r * r * r);
        }
    }

    double epsilon_;
};

}  // namespace

OperatorPtr make_batch_norm(double epsilon) {
    return std::make_shared<BatchNorm>(epsilon);
}

}  // namespace jlcm
