// Elements that indices among the data name.
#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <cmath>

namespace jlcm {
namespace {

/// The indices as integers in [0, size); those below 0 count from the end. An input error names one beyond.
std::vector<std::int64_t> checked(const Tensor& indices, std::int64_t size) {
    const Tensor numbers = loops::numbers(indices);
    std::vector<std::int64_t> result(static_cast<std::size_t>(numbers.size()));
    loops::with_type(numbers.dtype(), [&]<class T>(T) {
        for (std::int64_t i = 0; i < numbers.size(); ++i) {
            const T given = numbers.data<T>()[i];
            const auto bound = static_cast<T>(size);
            require(given >= -bound && given < bound && given == std::floor(given), "gather: index {} of {}",
                    given, size);
            const auto index = static_cast<std::int64_t>(given);
            result[static_cast<std::size_t>(i)] = index < 0 ? index + size : index;
        }
    });
    return result;
}

class Gather final : public Operator {
  public:
    explicit Gather(int dimension) : dimension_(static_cast<std::size_t>(dimension)) {
        require(dimension >= 0, "gather: dimension {}", dimension);
    }
    std::string_view kind() const override { return "gather"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(dimension_ < inputs[0].size(), "gather: no dimension {} in shape {}", dimension_,
                to_string(inputs[0]));
        const auto middle = inputs[0].begin() + static_cast<std::ptrdiff_t>(dimension_);
        Shape shape(inputs[0].begin(), middle);
        shape.insert(shape.end(), inputs[1].begin(), inputs[1].end());
        shape.insert(shape.end(), middle + 1, inputs[0].end());
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& table = context.input(0);
        const auto indices = checked(context.input(1), table.shape()[dimension_]);
        Tensor y = Tensor::empty(infer(std::vector<Shape>{table.shape(), context.input(1).shape()}, {}),
                                 table.dtype());
        const Extents e = extents(table.shape());
        const auto bytes = static_cast<std::size_t>(e.inner) * size_of(table.dtype());
        const auto count = static_cast<std::int64_t>(indices.size());
        parallel_for(e.outer * count,
                     std::max<std::int64_t>(1, loops::grain / std::max<std::int64_t>(e.inner, 1)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const std::int64_t row =
                                 i / count * e.size + indices[static_cast<std::size_t>(i % count)];
                             std::copy_n(table.bytes().data() + static_cast<std::size_t>(row) * bytes, bytes,
                                         y.bytes().data() + static_cast<std::size_t>(i) * bytes);
                         }
                     });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Shape& shape = context.input(0).shape();
        const auto indices = checked(context.input(1), shape[dimension_]);
        Tensor dx = Tensor::zeros(shape, context.gradient().dtype());
        const Extents e = extents(shape);
        const auto count = static_cast<std::int64_t>(indices.size());
        loops::with_type(dx.dtype(), [&]<class T>(T) {
            const T* from = context.gradient().data<T>();
            for (std::int64_t i = 0; i < e.outer * count; ++i) {
                T* to = dx.data<T>() +
                        (i / count * e.size + indices[static_cast<std::size_t>(i % count)]) * e.inner;
                for (std::int64_t k = 0; k < e.inner; ++k) to[k] += from[i * e.inner + k];
            }
        });
        context.add_input_gradient(0, dx);
    }
    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* reason = "indices name them by their position";
        const std::size_t rank = rule.input_shape(0).size();
        const std::size_t indices = rule.input_shape(1).size();
        rule.fix_dimensions(0, dimension_, dimension_ + 1, reason);
        rule.fix_dimensions(1, 0, indices, "indices have a given order");
        rule.fix_output_dimensions(dimension_, dimension_ + indices, "indices have a given order");
        std::vector<PermutationRule::Axis> kept;
        for (std::size_t d = 0; d < rank; ++d) {
            if (d == dimension_) continue;
            rule.tie(rule.input(0, d), rule.output(d < dimension_ ? d : d + indices - 1));
            kept.push_back(rule.input(0, d));
        }
        rule.beside(kept);
    }
    nlohmann::json attributes() const override { return {{"dimension", dimension_}}; }

  private:
    /// The table as [outer, size, inner].
    struct Extents {
        std::int64_t outer;
        std::int64_t size;
        std::int64_t inner;
    };
    [[nodiscard]] Extents extents(const Shape& shape) const {
        const auto middle = shape.begin() + static_cast<std::ptrdiff_t>(dimension_);
        return {element_count(Shape(shape.begin(), middle)), *middle,
                element_count(Shape(middle + 1, shape.end()))};
    }

    std::size_t dimension_;
};

class GatherElements final : public Operator {
  public:
    explicit GatherElements(int dimension) : dimension_(static_cast<std::size_t>(dimension)) {
        require(dimension >= 0, "gather_elements: dimension {}", dimension);
    }
    std::string_view kind() const override { return "gather_elements"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(inputs[0].size() == inputs[1].size() && dimension_ < inputs[0].size(),
                "gather_elements: indices of shape {} into shape {}", to_string(inputs[1]),
                to_string(inputs[0]));
        for (std::size_t d = 0; d < inputs[0].size(); ++d)
            require(d == dimension_ || inputs[1][d] <= inputs[0][d],
                    "gather_elements: indices of shape {} into shape {}", to_string(inputs[1]),
                    to_string(inputs[0]));
        return inputs[1];
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        Tensor y = Tensor::empty(context.input(1).shape(), x.dtype());
        const auto places = places_of(x.shape(), context.input(1));
        loops::with_type(x.dtype(), [&]<class T>(T) {
            for (std::int64_t i = 0; i < y.size(); ++i)
                y.data<T>()[i] = x.data<T>()[places[static_cast<std::size_t>(i)]];
        });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Shape& shape = context.input(0).shape();
        Tensor dx = Tensor::zeros(shape, context.gradient().dtype());
        const auto places = places_of(shape, context.input(1));
        loops::with_type(dx.dtype(), [&]<class T>(T) {
            for (std::int64_t i = 0; i < context.gradient().size(); ++i)
                dx.data<T>()[places[static_cast<std::size_t>(i)]] += context.gradient().data<T>()[i];
        });
        context.add_input_gradient(0, dx);
    }
    // Indices differ from element to element.
    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* reason = "indices name elements by their position";
        const std::size_t rank = rule.output_shape().size();
        for (std::size_t i = 0; i < 2; ++i) rule.fix_dimensions(i, 0, rank, reason);
        rule.fix_output_dimensions(0, rank, reason);
    }
    nlohmann::json attributes() const override { return {{"dimension", dimension_}}; }

  private:
    [[nodiscard]] std::vector<std::int64_t> places_of(const Shape& shape, const Tensor& indices) const {
        auto places = checked(indices, shape[dimension_]);
        const Strides strides = strides_of(shape);
        std::vector<std::int64_t> position(shape.size(), 0);
        for (std::int64_t& place : places) {
            place *= strides.steps[dimension_];
            for (std::size_t d = 0; d < shape.size(); ++d)
                if (d != dimension_) place += position[d] * strides.steps[d];
            for (std::size_t d = shape.size(); d-- > 0;) {
                if (++position[d] < indices.shape()[d]) break;
                position[d] = 0;
            }
        }
        return places;
    }

    std::size_t dimension_;
};

}  // namespace

OperatorPtr make_gather(int dimension) {
    return std::make_shared<Gather>(dimension);
}
OperatorPtr make_gather_elements(int dimension) {
    return std::make_shared<GatherElements>(dimension);
}

}  // namespace jlcm
