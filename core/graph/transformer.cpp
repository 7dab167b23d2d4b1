#include "core/graph/transformer.hpp"

#include "core/graph/data_operators.hpp"
#include "core/graph/expert_operators.hpp"
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
        require(config.local_layers.empty() ||
                    (std::ssize(config.local_layers) == config.layers && config.window > 0),
                "transformer: {} entries for {} layers say which attend to {} tokens",
                config.local_layers.size(), config.layers, config.window);
        AttentionOptions options{
            .causal = config.causal, .scale = config.attention_scale, .soft_cap = config.attention_soft_cap};
        const auto mixer = [&] {
            return make_attention(config.query_heads, config.key_heads, config.head_dim, options);
        };
        global_.attention = mixer();
        options.window = config.window;
        local_.attention = config.local_layers.empty() ? nullptr : mixer();
        if (!config.rotary) return;
        global_.rotary =
            make_rotary(config.head_dim, config.rotary_base, config.rotary_scaling, config.turned);
        local_.rotary = config.local_rotary_base > 0
                            ? make_rotary(config.head_dim, config.local_rotary_base, {}, config.turned)
                            : global_.rotary;
    }

    Graph build() {
        const ValueId ids = graph_.add_input("ids");
        const ParameterId table = this->table(names_.tokens, "embedding", config_.vocabulary);
        ValueId x = graph_.add("embedding", make_embedding(), {ids}, {table});
        if (config_.embedding_scale != 1)
            x = graph_.add("embedding.scale", make_unary({Unary::affine, config_.embedding_scale, 0}), {x});
        if (config_.position_rows > 0) {
            const ParameterId positions =
                this->table(names_.positions, "embedding.position", config_.position_rows);
            x = sum("embedding.positions", x,
                    graph_.add("positions", make_positions(config_.position_offset), {ids}, {positions}));
        }
        if (config_.token_types > 0) x = sum("embedding.types", x, first_token_type());
        if (config_.embedding_norm) x = norm(names_.embedding_norm, "norm.embedding", x);
        for (int i = 0; i < config_.layers; ++i) x = block(i, x);
        if (config_.norm_place != NormPlace::behind) x = norm(names_.final_norm, "norm.final", x);
        ParameterId head = -1;
        if (config_.has_head)
            head = graph_.add_parameter({(config_.tied_head ? names_.tokens : names_.head) + ".weight",
                                         "head",
                                         {config_.vocabulary, config_.hidden_size},
                                         -1,
                                         false,
                                         config_.tied_head ? table : -1});
        graph_.set_head(x, head, config_.head_soft_cap);
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

    ValueId rms_norm(const std::string& name, const std::string& role, std::int64_t width, ValueId x) {
        const ParameterId weight = vector(name + ".weight", role, width);
        return graph_.add(name, make_rms_norm(config_.norm_epsilon, config_.norm_offset), {x}, {weight});
    }

    ValueId norm(const std::string& name, const std::string& role, ValueId x) {
        if (config_.norm == NormKind::rms) return rms_norm(name, role, config_.hidden_size, x);
        const ParameterId weight = vector(name + ".weight", role, config_.hidden_size);
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

    /// What layers of one kind have in common.
    struct Mixer {
        OperatorPtr rotary;
        OperatorPtr attention;
    };

    ValueId attention(const std::string& prefix, const Mixer& mixer, ValueId x) {
        const std::int64_t width = config_.hidden_size;
        const std::int64_t query_width = config_.query_heads * config_.head_dim;
        const std::int64_t key_width = config_.key_heads * config_.head_dim;
        const bool bias = config_.query_bias;
        ValueId q = linear(prefix + names_.query, "attention.query", query_width, width, bias, x);
        ValueId k = linear(prefix + names_.key, "attention.key", key_width, width, bias, x);
        const ValueId v = linear(prefix + names_.value, "attention.value", key_width, width, bias, x);
        if (config_.query_norm != QueryNorm::none) {
            const bool is_whole = config_.query_norm == QueryNorm::width;
            q = rms_norm(prefix + names_.query_norm, "norm.query", is_whole ? query_width : config_.head_dim,
                         q);
            k = rms_norm(prefix + names_.key_norm, "norm.key", is_whole ? key_width : config_.head_dim, k);
        }
        if (config_.rotary) {
            q = graph_.add(prefix + "rotary.query", mixer.rotary, {q});
            k = graph_.add(prefix + "rotary.key", mixer.rotary, {k});
        }
        const ValueId mixed = graph_.add(prefix + "attention", mixer.attention, {q, k, v});
        return linear(prefix + names_.output, "attention.output", width, query_width, config_.output_bias,
                      mixed);
    }

    ValueId activation(const std::string& prefix, ValueId x) {
        return graph_.add(prefix + "mlp.activation", make_unary({.kind = config_.activation}), {x});
    }

    ValueId gated(const std::string& prefix, ValueId gate, ValueId up) {
        if (config_.activation == Unary::silu)
            return graph_.add(prefix + "mlp.gated", make_binary(Binary::silu_multiply), {gate, up});
        return graph_.add(prefix + "mlp.gated", make_binary(Binary::multiply),
                          {activation(prefix, gate), up});
    }

    ValueId mlp(const std::string& prefix, ValueId x) {
        const std::int64_t width = config_.hidden_size;
        const std::int64_t inner = config_.intermediate_size;
        const bool bias = config_.mlp_bias;
        ValueId hidden = -1;
        if (config_.gated) {
            const ValueId gate = linear(prefix + names_.gate, "mlp.gate", inner, width, bias, x);
            const ValueId up = linear(prefix + names_.up, "mlp.up", inner, width, bias, x);
            hidden = gated(prefix, gate, up);
        } else {
            const ValueId up = linear(prefix + names_.up, "mlp.up", inner, width, bias, x);
            hidden = activation(prefix, up);
        }
        return linear(prefix + names_.down, "mlp.down", width, inner, bias, hidden);
    }

    ValueId routed(const std::string& name, const std::string& role, std::int64_t out, std::int64_t in,
                   ValueId x) {
        const Experts& experts = config_.experts;
        const ParameterId weight = graph_.add_parameter({name + ".weight", role, {out, in}, block_, true});
        const double share = static_cast<double>(experts.chosen) / static_cast<double>(experts.count);
        return graph_.add(name, make_routed_linear(share), {x}, {weight});
    }

    /// Every expert reads the tokens that it was chosen for; all others are zero to it.
    ValueId experts(const std::string& prefix, ValueId x) {
        const Experts& experts = config_.experts;
        const std::int64_t width = config_.hidden_size;
        const std::int64_t inner = experts.intermediate_size;
        const std::string router = prefix + experts.router;
        const ParameterId scores =
            graph_.add_parameter({router + ".weight", "mlp.router", {experts.count, width}, block_});
        const ValueId weights =
            graph_.add(router + ".routing", make_routing(experts.chosen, experts.normalised),
                       {graph_.add(router, make_linear(), {x}, {scores})});
        ValueId total = -1;
        for (std::int64_t i = 0; i < experts.count; ++i) {
            const std::string name = fmt::format("{}{}.{}.", prefix, experts.list, i);
            const ValueId weight = graph_.add(
                name + "weight", make_slice({.dimension = 2, .begin = i, .count = 1, .step = 1}), {weights});
            const ValueId chosen = graph_.add(name + "chosen", make_pointwise(Pointwise::sign), {weight});
            const ValueId own = graph_.add(name + "tokens", make_binary(Binary::multiply), {x, chosen});
            const ValueId gate = routed(name + experts.gate, "mlp.gate", inner, width, own);
            const ValueId up = routed(name + experts.up, "mlp.up", inner, width, own);
            const ValueId made = routed(name + experts.down, "mlp.down", width, inner, gated(name, gate, up));
            const ValueId part = graph_.add(name + "part", make_binary(Binary::multiply), {made, weight});
            total = i == 0 ? part : sum(name + "sum", total, part);
        }
        return total;
    }

    [[nodiscard]] bool has_experts(int layer) const {
        const auto& dense = config_.experts.dense_layers;
        return config_.experts.count > 0 && (dense.empty() || !dense[static_cast<std::size_t>(layer)]);
    }

    /// Names and roles of a part's norms.
    struct PartNames {
        std::string name;
        std::string norm;
        std::string out_norm;
    };

    /// What a part reads, and what it adds to the residual stream.
    template <class Part>
    ValueId added(const std::string& prefix, const PartNames& names, ValueId x, Part part) {
        const NormPlace place = config_.norm_place;
        const bool is_before = place == NormPlace::before || place == NormPlace::around;
        const bool is_added = place == NormPlace::around || place == NormPlace::added;
        const ValueId made = part(is_before ? norm(prefix + names.norm, "norm." + names.name, x) : x);
        return is_added ? norm(prefix + names.out_norm, "norm." + names.name + "_out", made) : made;
    }

    /// A part of a block and its residual connection.
    template <class Part>
    ValueId residual(const std::string& prefix, const PartNames& names, ValueId x, Part part) {
        const ValueId total = sum(prefix + names.name + ".residual", x, added(prefix, names, x, part));
        const bool is_behind = config_.norm_place == NormPlace::behind;
        return is_behind ? norm(prefix + names.norm, "norm." + names.name, total) : total;
    }

    ValueId block(int i, ValueId x) {
        block_ = i;
        const NodeId first = graph_.node_count();
        const std::string prefix = fmt::format("{}.{}.", names_.layers, i);
        const bool is_local =
            !config_.local_layers.empty() && config_.local_layers[static_cast<std::size_t>(i)];
        const PartNames attention_names{"attention", names_.attention_norm, names_.attention_out_norm};
        const PartNames mlp_names{"mlp", names_.mlp_norm, names_.mlp_out_norm};
        const auto attend = [&](ValueId read) {
            return attention(prefix, is_local ? local_ : global_, read);
        };
        const auto think = [&](ValueId read) {
            return has_experts(i) ? experts(prefix, read) : mlp(prefix, read);
        };
        ValueId out = -1;
        if (config_.parallel) {
            const ValueId mixed = added(prefix, attention_names, x, attend);
            out =
                sum(prefix + "residual", x, sum(prefix + "parts", mixed, added(prefix, mlp_names, x, think)));
        } else {
            out = residual(prefix, mlp_names, residual(prefix, attention_names, x, attend), think);
        }
        graph_.add_block({fmt::format("block {}", i), {first, graph_.node_count()}, x, out});
        block_ = -1;
        return out;
    }

    const TransformerConfig& config_;
    const TransformerNames& names_;
    Graph graph_;
    Mixer global_;
    Mixer local_;
    int block_ = -1;
};

}  // namespace

Graph build_transformer(const TransformerConfig& config) {
    return TransformerBuilder(config).build();
}

}  // namespace jlcm
