#include "core/graph/recurrent.hpp"

#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

/// [sequences, steps, columns] as [steps, sequences, columns], or the reverse: a step is a slice then.
Tensor exchanged(const Tensor& x) {
    const std::int64_t columns = x.shape()[2];
    Tensor y = Tensor::empty({x.shape()[1], x.shape()[0], columns}, x.dtype());
    loops::with_type(x.dtype(), [&]<class T>(T) {
        for (std::int64_t i = 0; i < x.shape()[0]; ++i)
            for (std::int64_t j = 0; j < x.shape()[1]; ++j)
                std::copy_n(x.data<T>() + (i * x.shape()[1] + j) * columns, columns,
                            y.data<T>() + (j * x.shape()[0] + i) * columns);
    });
    return y;
}

/// One step of a tensor [steps, sequences, columns] as [sequences, columns].
Tensor at(const Tensor& x, std::int64_t step) {
    return x.slice(step, step + 1).reshape({x.shape()[1], x.shape()[2]});
}

template <class T>
T sigmoid(T x) {
    return 1 / (1 + std::exp(-x));
}

/// d sigmoid / d x and d tanh / d x, by the value.
template <class T>
T sigmoid_slope(T y) {
    return y * (1 - y);
}
template <class T>
T tanh_slope(T y) {
    return 1 - y * y;
}

/// Everything that a pass makes, [steps, sequences, ..], numbers of the input's type.
struct Pass {
    Tensor gates;     ///< behind their functions
    Tensor products;  ///< of the candidate if the reset lies behind it
    Tensor reset;     ///< the state as the candidate's product reads it if the reset lies in front of it
    Tensor states;    ///< before each step and behind the last, [steps + 1, ..], in the order of the pass
    Tensor cells;     ///< the same of an LSTM
};

class Recurrent final : public Operator {
  public:
    explicit Recurrent(RecurrentAttributes attributes) : attributes_(attributes) {}
    std::string_view kind() const override { return "recurrent"; }

    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        const Shape& weight = parameters[0];
        require(weight.size() == 2 && weight[1] > 0 && weight[0] == gates() * weight[1],
                "recurrent: a weight of shape {} for {} gates", shown(weight), gates());
        require(inputs[0].size() == 3 && inputs[0][2] == weight[0],
                "recurrent: an input of shape {} for a weight of shape {}", shown(inputs[0]), shown(weight));
        require(inputs.size() == 1 || inputs.size() == 1 + memories(), "recurrent: {} inputs", inputs.size());
        for (std::size_t i = 1; i < inputs.size(); ++i)
            require(inputs[i] == Shape{inputs[0][0], weight[1]},
                    "recurrent: a first state of shape {} for {} sequences of width {}", shown(inputs[i]),
                    inputs[0][0], weight[1]);
        for (std::size_t i = 1; i < parameters.size(); ++i)
            require(parameters[i] == Shape{weight[1]}, "recurrent: a bias of shape {} for width {}",
                    shown(parameters[i]), weight[1]);
        return {inputs[0][0], inputs[0][1], static_cast<std::int64_t>(memories()) * weight[1]};
    }

    Tensor forward(const ForwardContext& context) const override {
        Pass pass = run(context);
        Tensor output = output_of(pass, context.parameter(0).cols());
        for (Tensor* each : {&pass.gates, &pass.products, &pass.reset, &pass.states, &pass.cells})
            context.save(std::move(*each));
        return output;
    }

    // Through time, from the step that came last to the first.
    void backward(const BackwardContext& context) const override {
        const Pass pass{context.saved(0), context.saved(1), context.saved(2), context.saved(3),
                        context.saved(4)};
        Backend& backend = context.backend();
        const Tensor weight = backend.convert(context.parameter(0), pass.gates.dtype());
        const Tensor slopes = exchanged(context.gradient());
        const std::int64_t width = weight.cols();
        const Shape state{slopes.shape()[1], width};
        Tensor outer = Tensor::empty(pass.gates.shape(), pass.gates.dtype());  // of what comes from outside
        Tensor inner = outer;                                                  // of what comes from the state
        if (is(RecurrentCell::gru_reset_behind)) inner = Tensor::empty(outer.shape(), outer.dtype());
        Tensor dh = Tensor::zeros(state, outer.dtype());
        Tensor dc = Tensor::zeros(state, outer.dtype());
        for (std::int64_t k = slopes.shape()[0]; k-- > 0;) {
            const std::int64_t t = step(k, slopes.shape()[0]);
            Tensor outside = at(outer, t);
            Tensor inside = at(inner, t);
            loops::with_type(outer.dtype(), [&]<class T>(T) {
                add_slope<T>(at(slopes, t), width, dh, dc);
                cell_backward<T>(pass, t, k, dh, dc, outside, inside);
            });
            if (is(RecurrentCell::gru)) {
                candidate_backward(backend, pass, t, k, weight, dh, outside);
            } else {
                backend.gemm(matrix(inside), Transpose::no, matrix(weight), Transpose::no, dh, true);
            }
        }
        add_parameter_gradients(context, pass, inner);
        if (context.wants_input(0)) context.add_input_gradient(0, exchanged(outer));
        if (context.inputs() > 1 && context.wants_input(1)) context.add_input_gradient(1, dh);
        if (context.inputs() > 2 && context.wants_input(2)) context.add_input_gradient(2, dc);
    }

    // The weight is multiplied with the state before each step; the candidate of a reset state with that.
    Tensor weight_inputs(const ForwardContext& context) const override {
        const Pass pass = run(context);
        const Tensor former = former_states(pass);
        Backend& backend = context.backend();
        const DType type = context.weight(0).dtype();
        if (weight_groups() == 1) return backend.convert(former, type);
        Shape shape = former.shape();
        shape.insert(shape.begin(), weight_groups());
        Tensor groups = Tensor::empty(shape, former.dtype());
        auto out = groups.bytes().begin();
        for (const Tensor* each : {&former, &former, &pass.reset})
            out = std::ranges::copy(each->bytes(), out).out;
        return backend.convert(groups, type);
    }
    std::int64_t weight_groups() const override { return is(RecurrentCell::gru) ? gates() : 1; }
    // A layer is alone in reading what comes from outside, but for operators of another kind.
    std::string weight_inputs_key() const override { return attributes().dump(); }

    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* steps = "steps have a given order";
        rule.tie_dimensions(0, 0, 1);
        rule.fix_dimensions(0, 1, 2, steps);
        rule.fix_output_dimensions(1, 2, steps);
        const int units = rule.blocks(rule.input_shape(0)[2] / gates());
        const auto several = [&](std::int64_t count) -> PermutationRule::Axis {
            if (count == 1) return {{units}};
            const int outer = rule.blocks(count);
            rule.fix({{outer}}, "gates have a given order");
            return {{outer, units}};
        };
        rule.tie(rule.input(0), several(gates()));
        rule.tie(rule.parameter(0, 0), several(gates()));
        rule.tie(rule.parameter(0, 1), {{units}});
        rule.tie(rule.output(), several(static_cast<std::int64_t>(memories())));
        if (is(RecurrentCell::gru_reset_behind)) rule.tie(rule.parameter(1, 0), {{units}});
        for (std::size_t i = 1; i < rule.inputs(); ++i) {
            rule.tie(rule.input(i, 0), rule.output(0));
            rule.tie(rule.input(i, 1), {{units}});
        }
    }

    double flops(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        return 2.0 * static_cast<double>(inputs[0][0] * inputs[0][1]) *
               static_cast<double>(element_count(parameters[0]));
    }
    nlohmann::json attributes() const override { return attributes_; }

  private:
    [[nodiscard]] bool is(RecurrentCell cell) const { return attributes_.cell == cell; }
    [[nodiscard]] std::int64_t gates() const { return gates_of(attributes_.cell); }
    /// What a step hands on: the state, and the cell.
    [[nodiscard]] std::size_t memories() const { return is(RecurrentCell::lstm) ? 2 : 1; }
    /// The step that is the k-th of a pass.
    [[nodiscard]] std::int64_t step(std::int64_t k, std::int64_t steps) const {
        return attributes_.reverse ? steps - 1 - k : k;
    }

    [[nodiscard]] Pass run(const ForwardContext& context) const {
        Pass pass;
        pass.gates = exchanged(loops::numbers(context.input(0)));
        const DType type = pass.gates.dtype();
        const std::int64_t steps = pass.gates.shape()[0];
        const Tensor& weight = context.parameter(0);
        const std::int64_t width = weight.cols();
        const Shape all{steps, pass.gates.shape()[1], width};
        const auto memory = [&](std::size_t i) {
            Tensor states = Tensor::zeros({steps + 1, all[1], width}, type);
            if (i >= context.inputs()) return states;
            const Tensor first = loops::numbers(context.input(i)).to(type);
            std::ranges::copy(first.bytes(), states.bytes().begin());
            return states;
        };
        pass.states = memory(1);
        if (is(RecurrentCell::lstm)) pass.cells = memory(2);
        if (is(RecurrentCell::gru)) pass.reset = Tensor::empty(all, type);
        if (is(RecurrentCell::gru_reset_behind)) pass.products = Tensor::empty(all, type);
        for (std::int64_t k = 0; k < steps; ++k) {
            const std::int64_t t = step(k, steps);
            const Tensor former = at(pass.states, k);
            // Of a reset state the candidate's product follows.
            const std::int64_t first_rows = is(RecurrentCell::gru) ? 2 * width : weight.rows();
            const Tensor product = times(context, former, weight.slice(0, first_rows));
            loops::with_type(type, [&]<class T>(T) {
                gates_forward<T>(context, pass, t, product);
                if (is(RecurrentCell::gru))
                    candidate_forward<T>(pass, t, k, [&](const Tensor& reset) {
                        return times(context, reset, weight.slice(first_rows, weight.rows()));
                    });
                cell_forward<T>(pass, t, k);
            });
        }
        return pass;
    }

    /// x W^T in the weight's type, as numbers of x's.
    static Tensor times(const ForwardContext& context, const Tensor& x, const Tensor& weight) {
        Backend& backend = context.backend();
        return backend.product(backend.convert(x, weight.dtype()), Transpose::no, weight, Transpose::yes)
            .to(x.dtype());
    }

    /// Gates of a step: what comes from outside and `product` from the state, through their functions.
    template <class T>
    void gates_forward(const ForwardContext& context, Pass& pass, std::int64_t t,
                       const Tensor& product) const {
        Tensor gates_at = at(pass.gates, t);
        const std::int64_t width = pass.states.shape()[2];
        const std::int64_t all = gates_at.cols();
        const std::int64_t columns = product.cols();
        const bool resets_behind = is(RecurrentCell::gru_reset_behind);
        const Tensor bias = resets_behind ? context.parameter(1).to(product.dtype()) : Tensor();
        Tensor products = resets_behind ? at(pass.products, t) : Tensor();
        for (std::int64_t s = 0; s < gates_at.rows(); ++s) {
            T* gate = gates_at.data<T>() + s * all;
            const T* from_state = product.data<T>() + s * columns;
            if (resets_behind) {
                T* candidate = products.data<T>() + s * width;
                for (std::int64_t j = 0; j < width; ++j)
                    candidate[j] = from_state[2 * width + j] + bias.data<T>()[j];
                for (std::int64_t j = 0; j < 2 * width; ++j) gate[j] = sigmoid(gate[j] + from_state[j]);
                for (std::int64_t j = 0; j < width; ++j)
                    gate[2 * width + j] = std::tanh(gate[2 * width + j] + gate[width + j] * candidate[j]);
                continue;
            }
            for (std::int64_t j = 0; j < columns; ++j) {
                const T sum = gate[j] + from_state[j];
                if (is(RecurrentCell::relu))
                    gate[j] = sum > 0 || std::isnan(sum) ? sum : T{};
                else if (is(RecurrentCell::tanh) || (is(RecurrentCell::lstm) && j >= 3 * width))
                    gate[j] = std::tanh(sum);
                else
                    gate[j] = sigmoid(sum);
            }
        }
    }

    template <class T>
    void candidate_forward(Pass& pass, std::int64_t t, std::int64_t k, const auto& product_of) const {
        const Tensor former = at(pass.states, k);
        Tensor gates_at = at(pass.gates, t);
        Tensor reset = at(pass.reset, t);
        const std::int64_t width = former.cols();
        for (std::int64_t s = 0; s < former.rows(); ++s)
            for (std::int64_t j = 0; j < width; ++j)
                reset.data<T>()[s * width + j] =
                    gates_at.data<T>()[(3 * s + 1) * width + j] * former.data<T>()[s * width + j];
        const Tensor product = product_of(reset);
        for (std::int64_t s = 0; s < former.rows(); ++s)
            for (std::int64_t j = 0; j < width; ++j) {
                T& gate = gates_at.data<T>()[(3 * s + 2) * width + j];
                gate = std::tanh(gate + product.data<T>()[s * width + j]);
            }
    }

    /// The state behind a step, of its gates.
    template <class T>
    void cell_forward(Pass& pass, std::int64_t t, std::int64_t k) const {
        const std::int64_t width = pass.states.shape()[2];
        const Tensor gates_at = at(pass.gates, t);
        const Tensor former = at(pass.states, k);
        Tensor state = at(pass.states, k + 1);
        const bool has_cells = is(RecurrentCell::lstm);
        const Tensor former_cells = has_cells ? at(pass.cells, k) : Tensor();
        Tensor cells = has_cells ? at(pass.cells, k + 1) : Tensor();
        for (std::int64_t i = 0; i < state.size(); ++i) {
            const T* gate = gates_at.data<T>() + i / width * gates_at.cols() + i % width;
            T& h = state.data<T>()[i];
            if (has_cells) {
                T& c = cells.data<T>()[i];
                c = gate[2 * width] * former_cells.data<T>()[i] + gate[0] * gate[3 * width];
                h = gate[width] * std::tanh(c);
            } else if (gates() == 3) {
                h = (1 - gate[0]) * gate[2 * width] + gate[0] * former.data<T>()[i];
            } else {
                h = gate[0];
            }
        }
    }

    /// [sequences, steps, ..], the steps in their order.
    [[nodiscard]] Tensor output_of(const Pass& pass, std::int64_t width) const {
        const std::int64_t steps = pass.gates.shape()[0];
        const auto columns = static_cast<std::int64_t>(memories()) * width;
        Tensor output = Tensor::empty({steps, pass.gates.shape()[1], columns}, pass.gates.dtype());
        loops::with_type(output.dtype(), [&]<class T>(T) {
            for (std::int64_t k = 0; k < steps; ++k) {
                Tensor of_step = at(output, step(k, steps));
                for (std::size_t m = 0; m < memories(); ++m) {
                    const Tensor memory = at(m == 0 ? pass.states : pass.cells, k + 1);
                    for (std::int64_t s = 0; s < memory.rows(); ++s)
                        std::copy_n(memory.data<T>() + s * width, width,
                                    of_step.data<T>() + s * columns + static_cast<std::int64_t>(m) * width);
                }
            }
        });
        return exchanged(output);
    }

    /// The state in front of each step, the steps in their order.
    [[nodiscard]] Tensor former_states(const Pass& pass) const {
        const std::int64_t steps = pass.gates.shape()[0];
        Tensor former =
            Tensor::empty({steps, pass.states.shape()[1], pass.states.shape()[2]}, pass.states.dtype());
        for (std::int64_t k = 0; k < steps; ++k)
            std::ranges::copy(at(pass.states, k).bytes(), at(former, step(k, steps)).bytes().begin());
        return former;
    }

    /// The slope of a step's output, on those of the state and the cell.
    template <class T>
    void add_slope(const Tensor& slope, std::int64_t width, Tensor& dh, Tensor& dc) const {
        for (std::int64_t i = 0; i < dh.size(); ++i) {
            const T* from = slope.data<T>() + i / width * slope.cols() + i % width;
            dh.data<T>()[i] += from[0];
            if (is(RecurrentCell::lstm)) dc.data<T>()[i] += from[width];
        }
    }

    /// From the slopes of a step's state and cell: `outer` and `inner` those of the gates before their
    /// functions, `dh` and `dc` those of the former ones, without what goes through the product.
    template <class T>
    void cell_backward(const Pass& pass, std::int64_t t, std::int64_t k, Tensor& dh, Tensor& dc,
                       Tensor& outer, Tensor& inner) const {
        const std::int64_t width = dh.cols();
        if (width == 0) return;
        const Tensor gates_at = at(pass.gates, t);
        const Tensor former = at(pass.states, k);
        const bool has_cells = is(RecurrentCell::lstm);
        const Tensor former_cells = has_cells ? at(pass.cells, k) : Tensor();
        const Tensor cells = has_cells ? at(pass.cells, k + 1) : Tensor();
        const Tensor products = is(RecurrentCell::gru_reset_behind) ? at(pass.products, t) : Tensor();
        for (std::int64_t i = 0; i < dh.size(); ++i) {
            const std::int64_t place = i / width * gates_at.cols() + i % width;
            const T* gate = gates_at.data<T>() + place;
            T* out = outer.data<T>() + place;
            T& h = dh.data<T>()[i];
            if (has_cells) {
                const T squashed = std::tanh(cells.data<T>()[i]);
                T& c = dc.data<T>()[i];
                c += h * gate[width] * tanh_slope(squashed);
                out[0] = c * gate[3 * width] * sigmoid_slope(gate[0]);
                out[width] = h * squashed * sigmoid_slope(gate[width]);
                out[2 * width] = c * former_cells.data<T>()[i] * sigmoid_slope(gate[2 * width]);
                out[3 * width] = c * gate[0] * tanh_slope(gate[3 * width]);
                c *= gate[2 * width];
                h = 0;
            } else if (gates() == 3) {
                const T before = former.data<T>()[i];
                out[0] = h * (before - gate[2 * width]) * sigmoid_slope(gate[0]);
                out[2 * width] = h * (1 - gate[0]) * tanh_slope(gate[2 * width]);
                if (is(RecurrentCell::gru_reset_behind)) {
                    T* in = inner.data<T>() + place;
                    out[width] = out[2 * width] * products.data<T>()[i] * sigmoid_slope(gate[width]);
                    in[0] = out[0];
                    in[width] = out[width];
                    in[2 * width] = out[2 * width] * gate[width];
                }
                h *= gate[0];
            } else {
                out[0] = h * (is(RecurrentCell::tanh) ? tanh_slope(gate[0]) : static_cast<T>(gate[0] > 0));
                h = 0;
            }
        }
    }

    /// Of a reset state: through the candidate's product to the reset gate, and on to the former state.
    void candidate_backward(Backend& backend, const Pass& pass, std::int64_t t, std::int64_t k,
                            const Tensor& weight, Tensor& dh, Tensor& outer) const {
        const std::int64_t width = dh.cols();
        const Tensor gates_at = at(pass.gates, t);
        const Tensor former = at(pass.states, k);
        const Tensor reset = backend.product(columns_of(outer, 2 * width, 3 * width), Transpose::no,
                                             weight.slice(2 * width, 3 * width), Transpose::no);
        loops::with_type(dh.dtype(), [&]<class T>(T) {
            for (std::int64_t i = 0; i < dh.size(); ++i) {
                const std::int64_t place = i / width * outer.cols() + i % width + width;
                const T gate = gates_at.data<T>()[place];
                const T slope = reset.data<T>()[i];
                outer.data<T>()[place] = slope * former.data<T>()[i] * sigmoid_slope(gate);
                dh.data<T>()[i] += slope * gate;
            }
        });
        backend.gemm(matrix(columns_of(outer, 0, 2 * width)), Transpose::no,
                     matrix(weight.slice(0, 2 * width)), Transpose::no, dh, true);
    }

    /// Columns [begin, end) of a matrix, or of the last dimension.
    static Tensor columns_of(const Tensor& x, std::int64_t begin, std::int64_t end) {
        const std::int64_t columns = x.shape().back();
        Tensor part = Tensor::empty({x.size() / columns, end - begin}, x.dtype());
        loops::with_type(x.dtype(), [&]<class T>(T) {
            for (std::int64_t row = 0; row < part.rows(); ++row)
                std::copy_n(x.data<T>() + row * columns + begin, end - begin,
                            part.data<T>() + row * (end - begin));
        });
        return part;
    }

    void add_parameter_gradients(const BackwardContext& context, const Pass& pass,
                                 const Tensor& inner) const {
        Backend& backend = context.backend();
        const std::int64_t width = pass.states.shape()[2];
        if (is(RecurrentCell::gru_reset_behind))
            if (Tensor* slot = context.parameter_gradient(1))
                backend.bias_backward(columns_of(inner, 2 * width, 3 * width), *slot);
        if (!context.wants_parameter(0)) return;
        const Tensor former = former_states(pass);
        const Tensor rows = former.reshape({former.size() / width, width});
        if (!is(RecurrentCell::gru)) {
            const DType type = context.weight(0).dtype();
            context.add_weight_gradient(0, backend.convert(inner, type), backend.convert(rows, type));
            return;
        }
        Tensor slope = Tensor::empty({3 * width, width}, inner.dtype());
        const auto put = [&](std::int64_t begin, std::int64_t end, const Tensor& inputs) {
            Tensor part = slope.slice(begin, end);
            backend.gemm(matrix(columns_of(inner, begin, end)), Transpose::yes, matrix(inputs), Transpose::no,
                         part, false);
        };
        put(0, 2 * width, rows);
        put(2 * width, 3 * width, pass.reset.reshape(rows.shape()));
        context.add_parameter_gradient(0, slope);
    }

    RecurrentAttributes attributes_;
};

}  // namespace

std::int64_t gates_of(RecurrentCell cell) {
    switch (cell) {
        case RecurrentCell::lstm:
            return 4;
        case RecurrentCell::gru:
        case RecurrentCell::gru_reset_behind:
            return 3;
        default:
            return 1;
    }
}

OperatorPtr make_recurrent(RecurrentAttributes attributes) {
    return std::make_shared<Recurrent>(attributes);
}

}  // namespace jlcm
