// Operators that put elements elsewhere.
#include "core/graph/broadcast.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>

namespace jlcm {
namespace {

class Constant final : public Operator {
  public:
    std::string_view kind() const override { return "constant"; }
    Shape infer(std::span<const Shape>, std::span<const Shape> parameters) const override {
        return parameters[0];
    }
    Tensor forward(const ForwardContext& context) const override { return context.parameter(0); }
    void backward(const BackwardContext& context) const override {
        if (Tensor* slot = context.parameter_gradient(0))
            context.backend().add_scaled(*slot, context.gradient(), 1.0);
    }
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t d = 0; d < rule.output_shape().size(); ++d)
            rule.tie(rule.output(d), rule.parameter(0, d));
    }
};

/// Copies a view of the input to a view of the output.
class Movement : public Operator {
  public:
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        const Shape shape = infer(std::vector<Shape>{x.shape()}, {});
        const View view = view_of(x.shape(), shape);
        Tensor y = Tensor::empty(shape, x.dtype());
        context.backend().copy_strided(view.extents, x, view.input, y, view.output, false);
        return y;
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Shape& shape = context.input(0).shape();
        const View view = view_of(shape, context.gradient().shape());
        Tensor dx = Tensor::zeros(shape, context.gradient().dtype());
        context.backend().copy_strided(view.extents, context.gradient(), view.output, dx, view.input, false);
        context.add_input_gradient(0, dx);
    }

  protected:
    struct View {
        Shape extents;
        Strides input;
        Strides output;
    };
    [[nodiscard]] virtual View view_of(const Shape& input, const Shape& output) const = 0;
};

class Transposition final : public Movement {
  public:
    explicit Transposition(std::vector<int> order) : order_(std::move(order)) {
        std::vector<int> sorted = order_;
        std::ranges::sort(sorted);
        for (std::size_t d = 0; d < sorted.size(); ++d)
            require(sorted[d] == static_cast<int>(d), "transpose: {} is no order of {} dimensions",
                    fmt::join(order_, " "), order_.size());
    }
    std::string_view kind() const override { return "transpose"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(inputs[0].size() == order_.size(), "transpose: {} dimensions of shape {}", order_.size(),
                shown(inputs[0]));
        Shape shape;
        for (const int d : order_) shape.push_back(inputs[0][static_cast<std::size_t>(d)]);
        return shape;
    }
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t d = 0; d < order_.size(); ++d)
            rule.tie(rule.output(d), rule.input(0, static_cast<std::size_t>(order_[d])));
        rule.all_beside();
    }
    nlohmann::json attributes() const override { return {{"order", order_}}; }

  private:
    View view_of(const Shape& input, const Shape& output) const override {
        const Strides dense = strides_of(input);
        View view{output, {}, strides_of(output)};
        for (const int d : order_) view.input.steps.push_back(dense.steps[static_cast<std::size_t>(d)]);
        return view;
    }

    std::vector<int> order_;
};

class Slice final : public Movement {
  public:
    explicit Slice(SliceAttributes attributes) : slice_(attributes) {
        require(slice_.dimension >= 0 && slice_.begin >= 0 && slice_.count >= 0 && slice_.step != 0,
                "slice: {} elements from {} on in steps of {}", slice_.count, slice_.begin, slice_.step);
    }
    std::string_view kind() const override { return "slice"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = inputs[0];
        require(dimension() < shape.size(), "slice: no dimension {} in shape {}", dimension(), shown(shape));
        const std::int64_t last = slice_.begin + std::max<std::int64_t>(slice_.count - 1, 0) * slice_.step;
        require(slice_.count == 0 || (std::max(slice_.begin, last) < shape[dimension()] && last >= 0),
                "slice: elements {} to {} of dimension {} of shape {}", slice_.begin, last, dimension(),
                shown(shape));
        shape[dimension()] = slice_.count;
        return shape;
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t at = dimension();
        const std::size_t rank = rule.output_shape().size();
        rule.tie_dimensions(0, 0, at);
        rule.tie_dimensions(0, at + 1, rank);
        rule.all_beside();
        const std::int64_t size = rule.input_shape(0)[at];
        if (slice_.step != 1 || slice_.count == 0) {
            constexpr const char* reason = "a slice takes some of them by their position";
            rule.fix(rule.input(0, at), reason);
            if (slice_.count > 0) rule.fix(rule.output(at), reason);
            return;
        }
        PermutationRule::Axis parts;
        if (slice_.begin > 0) parts.push_back({rule.blocks(slice_.begin)});
        parts.push_back({rule.blocks(slice_.count)});
        rule.tie(rule.output(at), {parts.back()});
        const std::int64_t rest = size - slice_.begin - slice_.count;
        if (rest > 0) parts.push_back({rule.blocks(rest)});
        rule.tie(rule.input(0, at), parts);
    }
    nlohmann::json attributes() const override { return slice_; }

  private:
    std::size_t dimension() const { return static_cast<std::size_t>(slice_.dimension); }
    View view_of(const Shape& input, const Shape& output) const override {
        View view{output, strides_of(input), strides_of(output)};
        view.input.offset = slice_.begin * view.input.steps[dimension()];
        view.input.steps[dimension()] *= slice_.step;
        return view;
    }

    SliceAttributes slice_;
};

class Pad final : public Operator {
  public:
    explicit Pad(PadAttributes attributes) : pad_(std::move(attributes)) {
        require(pad_.before.size() == pad_.behind.size(), "pad: {} widths before, {} behind",
                pad_.before.size(), pad_.behind.size());
        for (const auto& widths : {pad_.before, pad_.behind})
            for (const std::int64_t width : widths) require(width >= 0, "pad: a width of {}", width);
    }
    std::string_view kind() const override { return "pad"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = inputs[0];
        require(shape.size() == pad_.before.size(), "pad: widths for {} dimensions, shape {}",
                pad_.before.size(), shown(shape));
        for (std::size_t d = 0; d < shape.size(); ++d) {
            const std::int64_t most = pad_.mode == PadMode::reflect ? shape[d] - 1 : shape[d];
            require(pad_.mode == PadMode::constant || std::max(pad_.before[d], pad_.behind[d]) == 0 ||
                        (pad_.mode == PadMode::edge && shape[d] > 0) ||
                        std::max(pad_.before[d], pad_.behind[d]) <= most,
                    "pad: shape {} is too small to be mirrored by {} and {}", shown(shape), pad_.before[d],
                    pad_.behind[d]);
            shape[d] += pad_.before[d] + pad_.behind[d];
        }
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        Tensor y = Tensor::empty(infer(std::vector<Shape>{x.shape()}, {}), x.dtype());
        context.backend().fill(y, pad_.value);
        for_each_piece(x.shape(), y.shape(),
                       [&](const Shape& extents, const Strides& in, const Strides& out) {
                           context.backend().copy_strided(extents, x, in, y, out, false);
                       });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Tensor& g = context.gradient();
        Tensor dx = Tensor::zeros(context.input(0).shape(), g.dtype());
        for_each_piece(dx.shape(), g.shape(),
                       [&](const Shape& extents, const Strides& in, const Strides& out) {
                           context.backend().copy_strided(extents, g, out, dx, in, true);
                       });
        context.add_input_gradient(0, dx);
    }
    // What is put there is all alike, so it may have any order.
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t d = 0; d < rule.output_shape().size(); ++d) {
            if (pad_.mode != PadMode::constant && pad_.before[d] + pad_.behind[d] > 0) {
                rule.fix(rule.input(0, d), "padding repeats some of them by their position");
                rule.fix(rule.output(d), "padding repeats some of them by their position");
                continue;
            }
            PermutationRule::Axis parts;
            if (pad_.before[d] > 0) parts.push_back({rule.blocks(pad_.before[d])});
            for (const auto& part : rule.input(0, d)) parts.push_back(part);
            if (pad_.behind[d] > 0) parts.push_back({rule.blocks(pad_.behind[d])});
            rule.tie(rule.output(d), parts);
        }
    }
    nlohmann::json attributes() const override { return pad_; }

  private:
    /// A run of one dimension: `count` elements from `in` on (in steps of `step`) that are those from `out`
    /// on.
    struct Run {
        std::int64_t in = 0;
        std::int64_t out = 0;
        std::int64_t count = 0;
        std::int64_t step = 1;
    };
    std::vector<Run> runs(std::size_t d, std::int64_t size) const {
        std::vector<Run> result{{0, pad_.before[d], size, 1}};
        if (pad_.mode == PadMode::constant) return result;
        const std::int64_t step = pad_.mode == PadMode::edge ? 0 : -1;
        const std::int64_t first = pad_.mode == PadMode::edge ? 0 : pad_.before[d];
        const std::int64_t last = pad_.mode == PadMode::edge ? size - 1 : size - 2;
        if (pad_.before[d] > 0) result.push_back({first, 0, pad_.before[d], step});
        if (pad_.behind[d] > 0) result.push_back({last, pad_.before[d] + size, pad_.behind[d], step});
        return result;
    }
    /// Calls `body(extents, input strides, output strides)` for the image itself and all its copies.
    template <class Body>
    void for_each_piece(const Shape& input, const Shape& output, Body body) const {
        std::vector<std::vector<Run>> all;
        for (std::size_t d = 0; d < input.size(); ++d) all.push_back(runs(d, input[d]));
        std::vector<std::size_t> chosen(input.size(), 0);
        while (true) {
            Shape extents;
            Strides in = strides_of(input);
            Strides out = strides_of(output);
            for (std::size_t d = 0; d < input.size(); ++d) {
                const Run& run = all[d][chosen[d]];
                extents.push_back(run.count);
                in.offset += run.in * in.steps[d];
                in.steps[d] *= run.step;
                out.offset += run.out * out.steps[d];
            }
            body(extents, in, out);
            std::size_t d = input.size();
            while (d > 0 && ++chosen[d - 1] == all[d - 1].size()) chosen[--d] = 0;
            if (d == 0) return;
        }
    }

    PadAttributes pad_;
};

class Concatenation final : public Operator {
  public:
    explicit Concatenation(int dimension) : dimension_(static_cast<std::size_t>(dimension)) {
        require(dimension >= 0, "concat: dimension {}", dimension);
    }
    std::string_view kind() const override { return "concat"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(!inputs.empty() && dimension_ < inputs[0].size(), "concat: no dimension {}", dimension_);
        Shape shape = inputs[0];
        shape[dimension_] = 0;
        for (const Shape& input : inputs) {
            Shape rest = input;
            require(rest.size() == shape.size(), "concat: shapes {} and {} differ", shown(inputs[0]),
                    shown(input));
            rest[dimension_] = shape[dimension_];
            require(rest == shape, "concat: shapes {} and {} differ", shown(inputs[0]), shown(input));
            shape[dimension_] += input[dimension_];
        }
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        std::vector<Shape> shapes;
        for (std::size_t i = 0; i < context.inputs(); ++i) shapes.push_back(context.input(i).shape());
        Tensor y = Tensor::empty(infer(shapes, {}), context.input(0).dtype());
        for_each_part(shapes, y.shape(), [&](std::size_t i, const Strides& inside) {
            context.backend().copy_strided(shapes[i], context.input(i), strides_of(shapes[i]), y, inside,
                                           false);
        });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        std::vector<Shape> shapes;
        for (std::size_t i = 0; i < context.inputs(); ++i) shapes.push_back(context.input(i).shape());
        for_each_part(shapes, context.gradient().shape(), [&](std::size_t i, const Strides& inside) {
            Tensor dx = Tensor::empty(shapes[i], context.gradient().dtype());
            context.backend().copy_strided(shapes[i], context.gradient(), inside, dx, strides_of(shapes[i]),
                                           false);
            context.add_input_gradient(i, dx);
        });
    }
    void permutation_rule(PermutationRule& rule) const override {
        PermutationRule::Axis all;
        for (std::size_t i = 0; i < rule.inputs(); ++i) {
            rule.tie_dimensions(i, 0, dimension_);
            rule.tie_dimensions(i, dimension_ + 1, rule.output_shape().size());
            if (rule.input_shape(i)[dimension_] == 0) continue;
            for (const auto& part : rule.input(i, dimension_)) all.push_back(part);
        }
        rule.tie(rule.output(dimension_), all);
    }
    nlohmann::json attributes() const override { return {{"dimension", dimension_}}; }

  private:
    /// Calls `body(i, strides of input i inside of the output)`.
    template <class Body>
    void for_each_part(const std::vector<Shape>& shapes, const Shape& output, Body body) const {
        Strides inside = strides_of(output);
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            body(i, inside);
            inside.offset += shapes[i][dimension_] * inside.steps[dimension_];
        }
    }

    std::size_t dimension_;
};

class Expansion final : public Operator {
  public:
    explicit Expansion(Shape shape) : shape_(std::move(shape)) {
        for (const std::int64_t size : shape_)
            require(size > 0 || size == -1, "expand: to shape {}", shown(shape_));
    }
    std::string_view kind() const override { return "expand"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const auto open = std::ranges::count(shape_, -1);
        require(std::ssize(inputs) == (open > 0 ? 2 : 1), "expand: {} inputs for shape {}", inputs.size(),
                shown(shape_));
        Shape shape = shape_;
        if (open > 0) std::ranges::replace(shape, std::int64_t{-1}, inputs[1].at(0));
        require(broadcast(inputs[0], shape) == shape, "expand: shape {} to {}", shown(inputs[0]),
                shown(shape));
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        std::vector<Shape> shapes;
        for (std::size_t i = 0; i < context.inputs(); ++i) shapes.push_back(context.input(i).shape());
        return expand(context.backend(), context.input(0), infer(shapes, {}));
    }
    void backward(const BackwardContext& context) const override {
        if (context.wants_input(0))
            context.add_input_gradient(
                0, sum_to(context.backend(), context.gradient(), context.input(0).shape()));
    }
    // What is repeated is all alike, so it may have any order.
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_broadcast(0);
        rule.all_beside();
    }
    nlohmann::json attributes() const override { return {{"shape", shape_}}; }

  private:
    Shape shape_;
};

}  // namespace

OperatorPtr make_constant() {
    return std::make_shared<Constant>();
}
OperatorPtr make_transpose(std::vector<int> order) {
    return std::make_shared<Transposition>(std::move(order));
}
OperatorPtr make_slice(SliceAttributes attributes) {
    return std::make_shared<Slice>(attributes);
}
OperatorPtr make_pad(PadAttributes attributes) {
    return std::make_shared<Pad>(std::move(attributes));
}
OperatorPtr make_expand(Shape shape) {
    return std::make_shared<Expansion>(std::move(shape));
}
OperatorPtr make_concat(int dimension) {
    return std::make_shared<Concatenation>(dimension);
}

}  // namespace jlcm
