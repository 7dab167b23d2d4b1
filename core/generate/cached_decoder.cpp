#include "core/generate/cached_decoder.hpp"

#include "core/backend/few_rows.hpp"
#include "core/base/interrupt.hpp"
#include "core/graph/cost.hpp"
#include "core/model/scoring.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// Bytes of what passes between the operators of a block when `tokens` tokens are read at once.
double passing_bytes(const Graph& graph, std::int64_t tokens, DType compute) {
    const GraphSizes sizes(graph, {1, tokens}, compute);
    return sizes.largest_block([&](const Block& block) { return sizes.passing_values(block.nodes, 1); });
}

/// Tokens of one forward: enough for products to be efficient, few enough for memory and to be stopped between.
std::int64_t tokens_of_step(const Graph& graph, const DecoderOptions& options, std::int64_t context) {
    constexpr std::int64_t efficient = 128;
    constexpr double work_bytes = 64e6;
    std::int64_t tokens = options.step;
    while (tokens > efficient &&
           passing_bytes(graph, std::min(tokens, context), options.compute) > work_bytes)
        tokens /= 2;
    return std::min(tokens, context);
}

/// Of pages of the embedding that no token of a context asks for.
double unread_embedding_bytes(const WeightSource& source, std::int64_t context) {
    constexpr double page = 4096;
    const Graph& graph = source.graph();
    double unread = 0;
    for (ParameterId id = 0; id < std::ssize(graph.parameters()); ++id) {
        const bool is_head = graph.head() >= 0 && graph.parameter(graph.head()).tied_to == id;
        if (graph.parameter(id).role != "embedding" || is_head) continue;
        const auto packed = source.packed(id);
        const CodedRows* coded = packed == nullptr ? nullptr : packed->codes();
        if (coded == nullptr) continue;
        const auto row = static_cast<double>(coded->row_bytes());
        const double read = static_cast<double>(context) * (row + page);
        unread += std::max(0.0, static_cast<double>(coded->rows) * row - read);
    }
    return unread;
}

}  // namespace

CachedDecoder::CachedDecoder(const WeightSource& source, const ModelInput& input,
                             const DecoderOptions& options, Backend& backend)
    : executor_(source.graph(), backend, options.compute),
      weights_(source.graph()),
      state_(options.cache),
      context_(options.context > 0 ? options.context : input.max_positions) {
    const Graph& graph = source.graph();
    (void)input.need_tokenizer("generation");
    require(
        !is_encoder(graph, input),
        "the model is an encoder, which predicts no tokens; generation needs a decoder such as Llama or GPT-2");
    require(context_ <= input.max_positions, "a context of {} tokens: the model is made for at most {}",
            context_, input.max_positions);
    tokens_per_step_ = tokens_of_step(graph, options, context_);
    bind_weights(weights_, source, graph.body().nodes, options.compute, backend, Binding::packed,
                 options.products);
    head_ = bound_head(source, options.compute, backend, options.products);
}

Tensor CachedDecoder::read(std::span<const std::int32_t> tokens) {
    const auto count = static_cast<std::int64_t>(tokens.size());
    require(count > 0, "no tokens to read");
    require(position() + count <= context_,
            "{} tokens behind {} exceed the context of {}: begin anew, or give a larger context", count,
            position(), context_);
    state_.keep(position());  // an earlier call may have failed
    Tensor last;
    for (std::int64_t begin = 0; begin < count; begin += tokens_per_step_) {
        if (interrupt_requested()) return {};
        const std::int64_t some = std::min(tokens_per_step_, count - begin);
        const Tensor ids = Tensor::from<std::int32_t>(
            {1, some}, tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(some)));
        const Tensor features = executor_.forward(executor_.graph().body(), weights_, ids, state_);
        state_.advance(some);
        if (begin + some == count)
            last = features.reshape({some, features.shape().back()}).slice(some - 1, some).clone();
    }
    // What a prompt worked in is no use to single tokens.
    if (count > 1) release_kept_memory();
    Backend& backend = executor_.backend();
    const bool by_codes = codes_for(head_, 1) != nullptr;
    const Tensor logits = head_scores(by_codes ? last : backend.convert(last, head_.dtype()), head_,
                                      executor_.graph().head_soft_cap(), backend);
    return logits.reshape({head_.rows()});
}

std::string DecoderMemory::describe() const {
    return fmt::format(
        "{:.0f} MB of weights, read in place, {:.0f} MB of keys and values for {} tokens, {:.0f} MB to work in",
        weights / 1e6, cache / 1e6, context, work / 1e6);
}

DecoderMemory decoder_memory(const WeightSource& source, const ModelInput& input,
                             const DecoderOptions& options, double weight_bytes) {
    const Graph& graph = source.graph();
    DecoderMemory memory{.context = options.context > 0 ? options.context : input.max_positions};
    memory.weights = weight_bytes - unread_embedding_bytes(source, memory.context);
    memory.cache = CachedDecoder::cache_bytes(graph, options.cache, memory.context);
    constexpr double program = 40e6;  // with what products work in
    constexpr double token = 250;     // of the tokenizer: its text, and where it is found
    const double tokenizer = input.tokenizer == nullptr ? 0 : token * input.tokenizer->vocabulary_size();
    // Parts of matrices that are decoded (packed_products.cpp), tables of codewords in 8 bits and in float32.
    const double decoded = options.products == Products::fast ? 17e6 : 97e6;
    memory.work = program + tokenizer + decoded + 0.03 * weight_bytes +
                  passing_bytes(graph, tokens_of_step(graph, options, memory.context), options.compute);
    return memory;
}

DecoderOptions within_memory(const WeightSource& source, const ModelInput& input, DecoderOptions options,
                             double weight_bytes, double limit) {
    constexpr std::int64_t least = 32;
    const DecoderOptions given = options;
    for (; options.step >= least; options.step /= 2)
        if (decoder_memory(source, input, options, weight_bytes).total() <= limit) return options;
    return given;
}

double CachedDecoder::cache_bytes(const Graph& graph, CacheType type, std::int64_t tokens) {
    const std::int64_t pages = (tokens + KeyValueCache::page_tokens - 1) / KeyValueCache::page_tokens;
    double bytes = 0;
    for (const Node& node : graph.nodes())
        if (const auto shape = node.op->cache_shape())
            bytes += shape->bytes(type, pages * KeyValueCache::page_tokens);
    return bytes;
}

}  // namespace jlcm
