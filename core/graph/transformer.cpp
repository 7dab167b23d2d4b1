#include "core/graph/transformer.hpp"

#include "core/graph/tensor_operators.hpp"

namespace jlcm {
namespace {

class TransformerBuilder {
  public:
    explicit TransformerBuilder(const TransformerConfig& config) : config_(config), names_(config.names) {
        require(config.layers > 0 && config.hidden_size > 0 && config.intermediate_size > 0 &&
                    config.vocabulary > 0,
                "transformer: {} layers of width {} and {}, vocabulary {}: all must be positive",
                config.layers, config.hidden_size, config.intermediate_size, config.vocabulary);
        if (config.rotary) rotary_ = make_rotary(config.head_dim, config.rotary_base, config.rotary_scaling);
        attention_ = make_attention(config.query_heads, config.key_heads, config.head_dim, config.causal);
    }

    Graph build() {
        const ValueId ids = graph_.add_input("ids");
        const ParameterId table = this->table(names_.tokens, "embedding", config_.vocabulary);
        ValueId x = graph_.add("embedding", make_embedding(), {ids}, {table});
        if (config_.position_rows > 0) {
            const ParameterId positions =
                this->table(names_.positions, "embedding.position", config_.position_rows);
            x = sum("embedding.positions", x,
                    graph_.add("positions", make_positions(config_.position_offset), {ids}, {positions}));
        }
        if (config_.token_types > 0) x = sum("embedding.types", x, first_token_type());
        if (config_.embedding_norm) x = norm(names_.embedding_norm, "norm.embedding", x);
        for (int i = 0; i < config_.layers; ++i) x = block(i, x);
        if (config_.norm_place == NormPlace::before) x = norm(names_.final_norm, "norm.final", x);
        ParameterId head = -1;
        if (config_.has_head)
            head = graph_.add_parameter({(config_.tied_head ? names_.tokens : names_.head) + ".weight",
                                         "head",
                                         {config_.vocabulary, config_.hidden_size},
                                         -1,
                                         false,
                                         config_.tied_head ? table : -1});
        graph_.set_head(x, head);
        return std::move(graph_);
    }

  private:
    ParameterId table(const std::string& name, const std::string& role, std::int64_t rows) {
        return graph_.add_parameter({name + ".weight", role, {rows, config_.hidden_size}});
    }

    ParameterId vector(const std::string& name, const std::string& role, std::int64_t size) {
        return graph_.add_parameter({name, role, {size}, block_});
    }

    ValueId sum(const std::string& name, ValueId a, ValueId b) {
        return graph_.add(name, make_binary(Binary::add), {a, b});
    }

    ValueId first_token_type() {
        const ParameterId types = table(names_.token_types, "embedding.type", config_.token_types);
        const ValueId all = graph_.add("token_types", make_constant(), {}, {types});
        return graph_.add("token_type", make_slice({.dimension = 0, .begin = 0, .count = 1, .step = 1}),
                          {all});
    }

    ValueId norm(const std::string& name, const std::string& role, ValueId x) {
        const ParameterId weight = vector(name + ".weight", role, config_.hidden_size);
        if (config_.norm == NormKind::rms)
            return graph_.add(name, make_rms_norm(config_.norm_epsilon), {x}, {weight});
        const ParameterId bias = vector(name + ".bias", role, config_.hidden_size);
        return graph_.add(name, make_layer_norm(config_.norm_epsilon, true), {x}, {weight, bias});
    }

    ValueId linear(const std::string& name, const std::string& role, std::int64_t out, std::int64_t in,
                   bool has_bias, ValueId x) {
        std::vector<ParameterId> parameters{
            graph_.add_parameter({name + ".weight", role, {out, in}, block_, true})};
        if (has_bias) parameters.push_back(vector(name + ".bias", "bias", out));
        return graph_.add(name, make_linear(has_bias), {x}, std::move(parameters));
    }

    ValueId attention(const std::string& prefix, ValueId x) {
        const std::int64_t width = config_.hidden_size;
        const std::int64_t query_width = config_.query_heads * config_.head_dim;
        const std::int64_t key_width = config_.key_heads * config_.head_dim;
        const bool bias = config_.query_bias;
        ValueId q = linear(prefix + names_.query, "attention.query", query_width, width, bias, x);
        ValueId k = linear(prefix + names_.key, "attention.key", key_width, width, bias, x);
        const ValueId v = linear(prefix + names_.value, "attention.value", key_width, width, bias, x);
        if (config_.rotary) {
            q = graph_.add(prefix + "rotary.query", rotary_, {q});
            k = graph_.add(prefix + "rotary.key", rotary_, {k});
        }
        const ValueId mixed = graph_.add(prefix + "attention", attention_, {q, k, v});
        return linear(prefix + names_.output, "attention.output", width, query_width, config_.output_bias,
                      mixed);
    }

    ValueId mlp(const std::string& prefix, ValueId x) {
        const std::int64_t width = config_.hidden_size;
        const std::int64_t inner = config_.intermediate_size;
        const bool bias = config_.mlp_bias;
        ValueId hidden = -1;
        if (config_.gated) {
            require(config_.activation == Unary::silu, "a gated MLP has the activation silu, no other");
            const ValueId gate = linear(prefix + names_.gate, "mlp.gate", inner, width, bias, x);
            const ValueId up = linear(prefix + names_.up, "mlp.up", inner, width, bias, x);
            hidden = graph_.add(prefix + "mlp.gated", make_binary(Binary::silu_multiply), {gate, up});
        } else {
            const ValueId up = linear(prefix + names_.up, "mlp.up", inner, width, bias, x);
            hidden = graph_.add(prefix + "mlp.activation", make_unary({.kind = config_.activation}), {up});
        }
        return linear(prefix + names_.down, "mlp.down", width, inner, bias, hidden);
    }

    /// A part of a block and its residual connection.
    template <class Part>
    ValueId residual(const std::string& prefix, const std::string& name, const std::string& norm_name,
                     ValueId x, Part part) {
        const bool is_before = config_.norm_place == NormPlace::before;
        const std::string role = "norm." + name;
        const ValueId read = is_before ? norm(prefix + norm_name, role, x) : x;
        const ValueId total = sum(prefix + name + ".residual", x, part(read));
        return is_before ? total : norm(prefix + norm_name, role, total);
    }

    ValueId block(int i, ValueId x) {
        block_ = i;
        const NodeId first = graph_.node_count();
        const std::string prefix = fmt::format("{}.{}.", names_.layers, i);
        const ValueId middle = residual(prefix, "attention", names_.attention_norm, x,
                                        [&](ValueId read) { return attention(prefix, read); });
        const ValueId out =
            residual(prefix, "mlp", names_.mlp_norm, middle, [&](ValueId read) { return mlp(prefix, read); });
        graph_.add_block({fmt::format("block {}", i), {first, graph_.node_count()}, x, out});
        block_ = -1;
        return out;
    }

    const TransformerConfig& config_;
    const TransformerNames& names_;
    Graph graph_;
    OperatorPtr rotary_;
    OperatorPtr attention_;
    int block_ = -1;
};

}  // namespace

Graph build_transformer(const TransformerConfig& config) {
    return TransformerBuilder(config).build();
}

}  // namespace jlcm
