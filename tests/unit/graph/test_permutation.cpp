// The permutation analysis: what it finds on known graphs, and that any order within what it allows leaves
// what random graphs compute unchanged.
#include "core/graph/execution.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/transformer.hpp"
#include "core/tensor/reorder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_permutations.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_permutations;
using test::random_tensor;

TransformerConfig small_llama() {
    TransformerConfig config;
    config.hidden_size = 12;
    config.intermediate_size = 20;
    config.layers = 2;
    config.query_heads = 6;
    config.key_heads = 2;
    config.head_dim = 4;
    config.vocabulary = 11;
    return config;
}

ParameterAxis axis_of(const Graph& graph, const std::string& name, int dimension) {
    const auto found = graph.find_parameter(name);
    REQUIRE(found);
    return {*found, dimension};
}

/// A random chain of gated and plain feed-forward layers and attentions on one stream.
class RandomGraph {
  public:
    explicit RandomGraph(std::uint64_t seed) : rng_(seed, "random graph") {
        width_ = 4 + below(9);
        ValueId x;
        if (below(2) == 0) {
            const ValueId ids = graph_.add_input("ids");
            input = test::random_ids({2, 5}, 7, "ids");
            x = graph_.add("embedding", make_embedding(), {ids}, {parameter({7, width_})});
        } else {
            x = graph_.add_input("x");
            input = random_tensor({2, 5, width_}, "x");
            if (below(2) == 0) x = linear(x, width_, width_);
        }
        const std::int64_t layers = 1 + below(4);
        for (std::int64_t i = 0; i < layers; ++i) {
            const std::int64_t out = below(3) == 0 ? 4 + below(9) : width_;
            const ValueId normed = below(2) == 0 ? norm(x) : x;
            const std::int64_t kind = below(3);
            const ValueId y = kind == 0   ? attention(normed, out)
                              : kind == 1 ? gated(normed, out)
                                          : plain(normed, out);
            x = out == width_ && below(3) > 0 ? graph_.add(name("sum"), make_binary(Binary::add), {x, y}) : y;
            width_ = out;
        }
        x = norm(x);
        output = x;
        if (below(2) == 0)
            graph_.set_head(x, parameter({3, width_}));
        else
            output = linear(x, width_, 3);
    }
    const Graph& graph() const { return graph_; }
    Tensor input;
    ValueId output = -1;

  private:
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(rng_.bits(draws_++) % static_cast<std::uint64_t>(n));
    }
    std::string name(const std::string& kind) { return kind + std::to_string(draws_++); }
    ParameterId parameter(Shape shape) {
        return graph_.add_parameter({name("p"), "", std::move(shape), -1, true});
    }
    ValueId linear(ValueId x, std::int64_t in, std::int64_t out) {
        const bool bias = below(2) == 0;
        std::vector<ParameterId> parameters{parameter({out, in})};
        if (bias) parameters.push_back(parameter({out}));
        return graph_.add(name("linear"), make_linear(bias), {x}, parameters);
    }
    ValueId norm(ValueId x) {
        return graph_.add(name("norm"), make_rms_norm(1e-5), {x}, {parameter({width_})});
    }
    ValueId gated(ValueId x, std::int64_t out) {
        const std::int64_t inner = 3 + below(12);
        const ValueId gate = linear(x, width_, inner);
        const ValueId up = linear(x, width_, inner);
        const auto function = below(2) == 0 ? Binary::silu_multiply : Binary::multiply;
        return linear(graph_.add(name("gated"), make_binary(function), {gate, up}), inner, out);
    }
    ValueId plain(ValueId x, std::int64_t out) {
        const std::int64_t inner = 3 + below(12);
        const ValueId hidden =
            graph_.add(name("gelu"), make_unary({Unary::gelu}), {linear(x, width_, inner)});
        return linear(hidden, inner, out);
    }
    ValueId attention(ValueId x, std::int64_t out) {
        const std::int64_t heads = 1 + below(3);
        const std::int64_t sharing = 1 + below(3);
        const std::int64_t size = 2 * (1 + below(3));
        ValueId q = linear(x, width_, heads * sharing * size);
        ValueId k = linear(x, width_, heads * size);
        const ValueId v = linear(x, width_, heads * size);
        if (below(2) == 0) {
            q = graph_.add(name("rotary"), make_rotary(size, 100.0), {q});
            k = graph_.add(name("rotary"), make_rotary(size, 100.0), {k});
        }
        const ValueId mixed = graph_.add(
            name("attention"), make_attention(heads * sharing, heads, size, below(2) == 0), {q, k, v});
        return linear(mixed, heads * sharing * size, out);
    }

    Rng rng_;
    std::uint64_t draws_ = 0;
    Graph graph_;
    std::int64_t width_ = 0;
};

/// What the graph computes, the head included.
Tensor run(const RandomGraph& random, DType type, const PermutationAnalysis* analysis,
           const Permutations& permutations) {
    const Graph& graph = random.graph();
    Weights weights(graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        Tensor value = random_tensor(parameter.shape, parameter.name, type, 0.7);
        if (analysis != nullptr)
            value = reorder(value, analysis->order({id, 0}, permutations),
                            parameter.shape.size() > 1 ? analysis->order({id, 1}, permutations)
                                                       : std::vector<std::int32_t>());
        weights.bind(id, value);
    }
    Backend& backend = cpu_backend();
    const Tensor input = random.input.dtype() == DType::i32 ? random.input : random.input.to(type);
    const Tensor y = Executor(graph, backend, type).forward(graph.whole(random.output), weights, input);
    if (graph.head() < 0) return y;
    return backend.product(y, Transpose::no, weights[graph.head()], Transpose::yes);
}

template <class T>
double largest_difference(const Tensor& a, const Tensor& b) {
    double worst = 0;
    for (std::int64_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a.data<T>()[i] - b.data<T>()[i])));
    return worst;
}

/// An operator that only has a rule.
class Ruled : public Operator {
  public:
    std::string_view kind() const override { return "ruled"; }
    Tensor forward(const ForwardContext&) const override { return {}; }
    void backward(const BackwardContext&) const override {}
};

/// The inputs' features one after the other.
class Concatenation final : public Ruled {
  public:
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = inputs[0];
        for (std::size_t i = 1; i < inputs.size(); ++i) shape.back() += inputs[i].back();
        return shape;
    }
    void permutation_rule(PermutationRule& rule) const override {
        PermutationRule::Axis all;
        for (std::size_t i = 0; i < rule.inputs(); ++i)
            for (const auto& part : rule.input(i)) all.push_back(part);
        rule.tie(rule.output(), all);
    }
};

/// Normalises groups of channels, a scale a channel.
class GroupNorm final : public Ruled {
  public:
    explicit GroupNorm(int groups) : groups_(groups) {}
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override { return inputs[0]; }
    void permutation_rule(PermutationRule& rule) const override {
        const int groups = rule.blocks(groups_);
        const int channels = rule.blocks(rule.size(rule.output()) / groups_);
        rule.tie(rule.input(0), rule.output());
        rule.tie(rule.output(), rule.parameter(0, 0));
        rule.tie(rule.output(), {{groups, channels}});
    }

  private:
    int groups_;
};

/// Channels x positions to one axis.
class Flatten final : public Ruled {
  public:
    explicit Flatten(std::int64_t positions) : positions_(positions) {}
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = inputs[0];
        shape.back() *= positions_;
        return shape;
    }
    void permutation_rule(PermutationRule& rule) const override {
        const int positions = rule.blocks(positions_);
        rule.fix({{positions}}, "positions have a given order");
        PermutationRule::Axis flat = rule.input(0);
        for (auto& part : flat) part.push_back(positions);
        rule.tie(rule.output(), flat);
    }

  private:
    std::int64_t positions_;
};

/// x -> linear to `out` features; the names say what is what.
ValueId add_linear(Graph& graph, const std::string& name, ValueId x, std::int64_t in, std::int64_t out) {
    const ParameterId id = graph.add_parameter({name, "", {out, in}, -1, true});
    return graph.add(name, make_linear(), {x}, {id});
}

}  // namespace

TEST_CASE("permutations of a Llama") {
    const Graph graph = build_transformer(small_llama());
    const PermutationAnalysis analysis(graph);
    const std::string layer = "model.layers.0.";
    const auto axis = [&](const std::string& name, int dimension) -> const FeatureAxis& {
        return analysis.axis(axis_of(graph, layer + name, dimension));
    };
    // Feed-forward: gate and up share one free order, absorbed by down.
    const FeatureAxis& inner = axis("mlp.gate_proj.weight", 0);
    REQUIRE(inner.size() == 1);
    REQUIRE(inner[0].size() == 1);
    CHECK(axis("mlp.up_proj.weight", 0) == inner);
    CHECK(axis("mlp.down_proj.weight", 1) == inner);
    const PermutationClass& neurons = analysis.at(inner[0][0]);
    CHECK((neurons.is_free() && neurons.size == 20 && neurons.instances == 1 && neurons.axes.size() == 3));
    CHECK_FALSE(analysis.crosses_blocks(inner[0][0]));

    // Values: an order a head, the same for the query heads that share it.
    const FeatureAxis& values = axis("self_attn.v_proj.weight", 0);
    const FeatureAxis& mixed = axis("self_attn.o_proj.weight", 1);
    REQUIRE((values.size() == 1 && values[0].size() == 2 && mixed.size() == 1 && mixed[0].size() == 3));
    CHECK((mixed[0][0] == values[0][0] && mixed[0][2] == values[0][1]));
    const PermutationClass& value = analysis.at(values[0][1]);
    CHECK((value.is_free() && value.size == 4 && value.instances == 2));
    CHECK(value.within == std::vector<ClassId>{values[0][0]});
    CHECK(analysis.innermost(axis_of(graph, layer + "self_attn.v_proj.weight", 0)) == values[0][1]);

    // Queries and keys: whole heads only.
    const FeatureAxis& queries = axis("self_attn.q_proj.weight", 0);
    const FeatureAxis& keys = axis("self_attn.k_proj.weight", 0);
    REQUIRE((queries[0].size() == 3 && keys[0].size() == 2));
    CHECK((queries[0][0] == values[0][0] && queries[0][1] == mixed[0][1] && queries[0][2] == keys[0][1]));
    CHECK(analysis.at(queries[0][0]).is_free());
    CHECK((analysis.at(queries[0][1]).is_free() && analysis.at(queries[0][1]).instances == 2));
    CHECK_THAT(analysis.at(keys[0][1]).fixed, Catch::Contains("rotary"));
    CHECK(analysis.at(keys[0][1]).fixed_by == layer + "rotary.query");

    // The residual stream is one class over the model.
    const FeatureAxis& width = axis("input_layernorm.weight", 0);
    for (const auto& [name, dimension] : {std::pair{"model.embed_tokens.weight", 1},
                                          {"model.layers.1.self_attn.o_proj.weight", 0},
                                          {"model.layers.1.mlp.gate_proj.weight", 1},
                                          {"model.norm.weight", 0},
                                          {"lm_head.weight", 1}})
        CHECK(analysis.axis(axis_of(graph, name, dimension)) == width);
    CHECK((analysis.at(width[0][0]).is_free() && analysis.crosses_blocks(width[0][0])));
    for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"})
        CHECK_FALSE(analysis.at(analysis.axis(axis_of(graph, name, 0))[0][0]).is_free());
}

TEST_CASE("without rotary embedding queries and keys share an order in each head") {
    Graph graph;
    const ValueId x = graph.add_input("x");
    const ValueId q = add_linear(graph, "q", x, 5, 24);
    const ValueId k = add_linear(graph, "k", x, 5, 12);
    const ValueId v = add_linear(graph, "v", x, 5, 12);
    const ValueId mixed = graph.add("attention", make_attention(6, 3, 4, true), {q, k, v});
    (void)add_linear(graph, "o", mixed, 24, 5);
    const PermutationAnalysis analysis(graph, {1, 1, 5});
    const ClassId compared = *analysis.innermost(axis_of(graph, "k", 0));
    CHECK(analysis.innermost(axis_of(graph, "q", 0)) == compared);
    CHECK((analysis.at(compared).is_free() && analysis.at(compared).instances == 3));
    CHECK(compared != *analysis.innermost(axis_of(graph, "v", 0)));
    for (const auto& [name, dimension] : {std::pair{"q", 1}, {"o", 0}})
        CHECK_FALSE(analysis.at(*analysis.innermost(axis_of(graph, name, dimension))).is_free());
}

TEST_CASE("any order that the analysis allows leaves random graphs' outputs as they are") {
    std::int64_t moved = 0;
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        INFO("seed " << seed);
        const RandomGraph random(seed);
        const PermutationAnalysis analysis(random.graph(), random.input.shape());
        const Permutations permutations = random_permutations(analysis, seed);
        analysis.validate(permutations);
        for (ParameterId id = 0; id < static_cast<ParameterId>(random.graph().parameters().size()); ++id)
            moved += analysis.order({id, 0}, permutations).empty() ? 0 : 1;
        const Tensor expected = run(random, DType::f64, nullptr, {});
        const Tensor actual = run(random, DType::f64, &analysis, permutations);
        REQUIRE(largest_difference<double>(expected, actual) < 1e-11);
        if (seed % 5 > 0) continue;
        REQUIRE(largest_difference<float>(run(random, DType::f32, nullptr, {}),
                                          run(random, DType::f32, &analysis, permutations)) < 2e-4);
    }
    CHECK(moved > 500);
}

TEST_CASE("an order that the analysis does not allow changes the output") {
    const RandomGraph random(3);
    const PermutationAnalysis analysis(random.graph(), random.input.shape());
    const Permutations permutations = random_permutations(analysis, 1);
    REQUIRE_FALSE(permutations.empty());
    // One class moved on one of its axes only.
    const Tensor expected = run(random, DType::f64, nullptr, {});
    double worst = 0;
    for (const auto& [id, order] : permutations) {
        const ParameterAxis first = analysis.at(id).axes.front();
        Backend& backend = cpu_backend();
        const Graph& graph = random.graph();
        Weights broken(graph);
        for (ParameterId p = 0; p < static_cast<ParameterId>(graph.parameters().size()); ++p) {
            Tensor value = random_tensor(graph.parameter(p).shape, graph.parameter(p).name, DType::f64, 0.7);
            if (p == first.parameter) {
                const auto order_of_axis = analysis.order(first, {{id, order}});
                value = first.dimension == 0 ? reorder(value, order_of_axis, {})
                                             : reorder(value, {}, order_of_axis);
            }
            broken.bind(p, value);
        }
        Tensor y =
            Executor(graph, backend, DType::f64).forward(graph.whole(random.output), broken, random.input);
        if (graph.head() >= 0) y = backend.product(y, Transpose::no, broken[graph.head()], Transpose::yes);
        worst = std::max(worst, largest_difference<double>(expected, y));
    }
    CHECK(worst > 1e-3);
}

TEST_CASE("concatenation, group norm and flattening keep what moves within their structure") {
    Graph graph;
    const ValueId x = graph.add_input("x");
    const ValueId a = add_linear(graph, "a", x, 3, 4);
    const ValueId b = add_linear(graph, "b", x, 3, 6);
    const ValueId both = graph.add("concatenation", std::make_shared<Concatenation>(), {a, b});
    (void)add_linear(graph, "reader", both, 10, 3);
    const ValueId c = add_linear(graph, "c", x, 3, 12);
    const ParameterId scale = graph.add_parameter({"scale", "", {12}});
    const ValueId normed = graph.add("group_norm", std::make_shared<GroupNorm>(3), {c}, {scale});
    const ValueId flat = graph.add("flatten", std::make_shared<Flatten>(5), {normed});
    (void)add_linear(graph, "classes", flat, 60, 3);
    const PermutationAnalysis analysis(graph, {1, 3});

    const FeatureAxis& reader = analysis.axis(axis_of(graph, "reader", 1));
    REQUIRE(reader.size() == 2);
    CHECK(reader[0] == analysis.axis(axis_of(graph, "a", 0))[0]);
    CHECK(reader[1] == analysis.axis(axis_of(graph, "b", 0))[0]);
    CHECK((analysis.at(reader[0][0]).is_free() && analysis.at(reader[1][0]).is_free()));

    const FeatureAxis& channels = analysis.axis(axis_of(graph, "c", 0));
    CHECK(analysis.axis({scale, 0}) == channels);
    REQUIRE((channels.size() == 1 && channels[0].size() == 2));
    CHECK((analysis.at(channels[0][0]).size == 3 && analysis.at(channels[0][0]).is_free()));
    CHECK((analysis.at(channels[0][1]).instances == 3 && analysis.at(channels[0][1]).is_free()));
    const FeatureAxis& classes = analysis.axis(axis_of(graph, "classes", 1));
    REQUIRE(classes[0].size() == 3);
    CHECK((classes[0][0] == channels[0][0] && classes[0][1] == channels[0][1]));
    CHECK_FALSE(analysis.at(classes[0][2]).is_free());

    // The order of an axis of parts, and of blocks within blocks.
    const Permutations permutations{{reader[0][0], {3, 2, 1, 0}},
                                    {channels[0][0], {1, 0, 2}},
                                    {channels[0][1], {0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3}}};
    CHECK(analysis.order(axis_of(graph, "reader", 1), permutations) ==
          std::vector<std::int32_t>{3, 2, 1, 0, 4, 5, 6, 7, 8, 9});
    CHECK(analysis.order({scale, 0}, permutations) ==
          std::vector<std::int32_t>{7, 6, 5, 4, 0, 1, 2, 3, 8, 9, 10, 11});
    CHECK(analysis.elements(axis_of(graph, "reader", 1), reader[1][0]) ==
          std::vector<std::int32_t>{-1, -1, -1, -1, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("what cannot be followed does not move") {
    // Heads of 4 meet heads of 6: neither divides the other.
    Graph graph;
    const ValueId x = graph.add_input("x");
    const ValueId y = add_linear(graph, "y", x, 3, 12);
    (void)graph.add("four", make_rotary(4, 10.0), {y});
    (void)graph.add("six", make_rotary(6, 10.0), {y});
    // An operator without a rule.
    class Unknown final : public Ruled {
      public:
        Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
            return inputs[0];
        }
    };
    const ValueId z = add_linear(graph, "z", x, 3, 8);
    (void)add_linear(graph, "out", graph.add("unknown", std::make_shared<Unknown>(), {z}), 8, 3);
    const PermutationAnalysis analysis(graph, {1, 1, 3});
    for (const char* name : {"y", "z"})
        for (const auto& part : analysis.axis(axis_of(graph, name, 0)))
            for (const ClassId id : part) CHECK_FALSE(analysis.at(id).is_free());
    CHECK_THAT(analysis.at(*analysis.innermost(axis_of(graph, "z", 0))).fixed, Catch::Contains("ruled"));
    CHECK(analysis.at(*analysis.innermost(axis_of(graph, "z", 0))).fixed_by == "unknown");
}
