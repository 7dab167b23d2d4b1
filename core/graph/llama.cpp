#include "core/graph/llama.hpp"

namespace jlcm {
namespace {

class LlamaBuilder {
  public:
    explicit LlamaBuilder(const LlamaConfig& config) : config_(config) {
        require(config.layers > 0 && config.hidden_size > 0 && config.intermediate_size > 0 &&
                    config.vocabulary > 0,
                "llama: {} layers of width {} and {}, vocabulary {}: all must be positive", config.layers,
                config.hidden_size, config.intermediate_size, config.vocabulary);
        rotary_ = make_rotary(config.head_dim, config.rotary_base, config.rotary_scaling);
        attention_ = make_attention(config.query_heads, config.key_heads, config.head_dim, true);
    }

    Graph build() {
        const ValueId ids = graph_.add_input("ids");
        const ParameterId table = graph_.add_parameter(
            {"model.embed_tokens.weight", "embedding", {config_.vocabulary, config_.hidden_size}});
        ValueId x = graph_.add("embedding", make_embedding(), {ids}, {table});
        for (int i = 0; i < config_.layers; ++i) x = block(i, x);
        const ValueId features = norm("model.norm", "norm.final", x);
        const ParameterId head =
            graph_.add_parameter({config_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight",
                                  "head",
                                  {config_.vocabulary, config_.hidden_size},
                                  -1,
                                  false,
                                  config_.tied_head ? table : -1});
        graph_.set_head(features, head);
        return std::move(graph_);
    }

  private:
    ValueId norm(const std::string& name, const std::string& role, ValueId x) {
        const ParameterId weight =
            graph_.add_parameter({name + ".weight", role, {config_.hidden_size}, block_});
        return graph_.add(name, make_rms_norm(config_.norm_epsilon), {x}, {weight});
    }

    ValueId linear(const std::string& name, const std::string& role, std::int64_t out, std::int64_t in,
                   ValueId x) {
        const ParameterId weight = graph_.add_parameter({name + ".weight", role, {out, in}, block_, true});
        return graph_.add(name, make_linear(), {x}, {weight});
    }

    ValueId block(int i, ValueId x) {
        block_ = i;
        const NodeId first = graph_.node_count();
        const std::string prefix = fmt::format("model.layers.{}.", i);
        const std::int64_t width = config_.hidden_size;
        const std::int64_t query_width = config_.query_heads * config_.head_dim;
        const std::int64_t key_width = config_.key_heads * config_.head_dim;

        const ValueId a = norm(prefix + "input_layernorm", "norm.attention", x);
        const ValueId q = linear(prefix + "self_attn.q_proj", "attention.query", query_width, width, a);
        const ValueId k = linear(prefix + "self_attn.k_proj", "attention.key", key_width, width, a);
        const ValueId v = linear(prefix + "self_attn.v_proj", "attention.value", key_width, width, a);
        const ValueId turned_q = graph_.add(prefix + "rotary.query", rotary_, {q});
        const ValueId turned_k = graph_.add(prefix + "rotary.key", rotary_, {k});
        const ValueId mixed = graph_.add(prefix + "attention", attention_, {turned_q, turned_k, v});
        const ValueId o = linear(prefix + "self_attn.o_proj", "attention.output", width, query_width, mixed);
        const ValueId middle = graph_.add(prefix + "attention.residual", make_binary(Binary::add), {x, o});

        const ValueId m = norm(prefix + "post_attention_layernorm", "norm.mlp", middle);
        const ValueId gate =
            linear(prefix + "mlp.gate_proj", "mlp.gate", config_.intermediate_size, width, m);
        const ValueId up = linear(prefix + "mlp.up_proj", "mlp.up", config_.intermediate_size, width, m);
        const ValueId gated =
            graph_.add(prefix + "mlp.gated", make_binary(Binary::silu_multiply), {gate, up});
        const ValueId down =
            linear(prefix + "mlp.down_proj", "mlp.down", width, config_.intermediate_size, gated);
        const ValueId out = graph_.add(prefix + "mlp.residual", make_binary(Binary::add), {middle, down});

        graph_.add_block({fmt::format("block {}", i), {first, graph_.node_count()}, x, out});
        block_ = -1;
        return out;
    }

    LlamaConfig config_;
    Graph graph_;
    OperatorPtr rotary_;
    OperatorPtr attention_;
    int block_ = -1;
};

}  // namespace

Graph build_llama(const LlamaConfig& config) {
    return LlamaBuilder(config).build();
}

}  // namespace jlcm
