#include "core/base/json.hpp"
#include "core/graph/permutation.hpp"

#include <cmath>

namespace jlcm {
namespace {

class Attention final : public Operator {
  public:
    Attention(std::int64_t query_heads, std::int64_t key_heads, std::int64_t head_dim,
              const AttentionOptions& options)
        : query_heads_(query_heads), key_heads_(key_heads), head_dim_(head_dim), options_(options) {
        require(query_heads > 0 && key_heads > 0 && query_heads % key_heads == 0,
                "attention: {} query heads cannot share {} key/value heads", query_heads, key_heads);
        require(options.window >= 0 && (options.causal || options.window == 0),
                "attention: a window of {} tokens needs causal attention", options.window);
        require(options.scale >= 0 && options.soft_cap >= 0,
                "attention: scale {} and cap {} must not be negative", options.scale, options.soft_cap);
    }
    std::string_view kind() const override { return "attention"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const Shape key_shape{inputs[0].at(0), inputs[0].at(1), key_heads_ * head_dim_};
        require(inputs[0].size() == 3 && inputs[0][2] == query_heads_ * head_dim_ && inputs[1] == key_shape &&
                    inputs[2] == key_shape,
                "attention: q {}, k {}, v {} do not fit {} query and {} key/value heads of {}",
                shown(inputs[0]), shown(inputs[1]), shown(inputs[2]), query_heads_, key_heads_, head_dim_);
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        const AttentionShape own = shape(context.input(0).shape());
        if (KeyValueCache* cache = context.cache()) {
            require(options_.causal, "attention: only causal attention reads on behind earlier tokens");
            cache->append({own.sequences, key_heads_, head_dim_}, context.input(1), context.input(2));
            // Without earlier tokens the new ones see all there is.
            if (context.position() > 0)
                return context.backend().cached_attention(own, context.input(0), *cache);
        }
        Tensor log_sums;
        Tensor y = context.backend().attention(own, context.input(0), context.input(1), context.input(2),
                                               context.compute(), log_sums);
        context.save(log_sums);
        return y;
    }
    std::optional<CacheShape> cache_shape() const override { return CacheShape{1, key_heads_, head_dim_}; }
    void backward(const BackwardContext& context) const override {
        Tensor dq;
        Tensor dk;
        Tensor dv;
        context.backend().attention_backward(
            shape(context.input(0).shape()), context.input(0), context.input(1), context.input(2),
            context.output(), context.saved(0), context.gradient(), context.compute(), dq, dk, dv);
        context.add_input_gradient(0, dq);
        context.add_input_gradient(1, dk);
        context.add_input_gradient(2, dv);
    }
    // Key/value heads move with their query heads, query heads within the group that shares a key/value head.
    // Inside a head, queries have their key head's order, and outputs their value head's.
    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* positions = "sequences and positions have a given order";
        for (std::size_t i = 0; i < 3; ++i) rule.fix_dimensions(i, 0, 2, positions);
        rule.fix_output_dimensions(0, 2, positions);
        const int heads = rule.blocks(key_heads_);
        const int sharing = rule.blocks(query_heads_ / key_heads_);
        const int compared = rule.blocks(head_dim_);
        const int mixed = rule.blocks(head_dim_);
        rule.tie(rule.input(0), {{heads, sharing, compared}});
        rule.tie(rule.input(1), {{heads, compared}});
        rule.tie(rule.input(2), {{heads, mixed}});
        rule.tie(rule.output(), {{heads, sharing, mixed}});
    }
    double flops(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const std::int64_t length = inputs[0][1];
        const bool is_local = options_.window > 0 && options_.window < length;
        const double seen = is_local ? static_cast<double>(options_.window)
                                     : static_cast<double>(length) * (options_.causal ? 0.5 : 1.0);
        const double pairs = static_cast<double>(inputs[0][0] * length) * seen;
        return 4.0 * pairs * static_cast<double>(query_heads_ * head_dim_);
    }

    nlohmann::json attributes() const override {
        return {{"query_heads", query_heads_}, {"key_heads", key_heads_}, {"head_dim", head_dim_},
                {"causal", options_.causal},   {"scale", options_.scale}, {"soft_cap", options_.soft_cap},
                {"window", options_.window}};
    }

  private:
    AttentionShape shape(const Shape& q) const {
        return {q[0],
                q[1],
                query_heads_,
                key_heads_,
                head_dim_,
                options_.causal,
                options_.scale > 0 ? options_.scale : 1.0 / std::sqrt(static_cast<double>(head_dim_)),
                options_.soft_cap,
                options_.window};
    }
    std::int64_t query_heads_;
    std::int64_t key_heads_;
    std::int64_t head_dim_;
    AttentionOptions options_;
};

}  // namespace

OperatorPtr make_attention(std::int64_t query_heads, std::int64_t key_heads, std::int64_t head_dim,
                           const AttentionOptions& options) {
    return std::make_shared<Attention>(query_heads, key_heads, head_dim, options);
}

OperatorPtr make_attention(std::int64_t query_heads, std::int64_t key_heads, std::int64_t head_dim,
                           bool causal) {
    return make_attention(query_heads, key_heads, head_dim, AttentionOptions{.causal = causal});
}

}  // namespace jlcm
