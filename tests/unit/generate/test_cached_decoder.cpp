// Reading tokens one after another gives what reading them at once gives.
#include "core/generate/cached_decoder.hpp"
#include "core/model/scoring.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

std::filesystem::path folder(const std::string& name) {
    return std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers" / name;
}

/// Logits behind each token, from one forward over all: [tokens, vocabulary].
Tensor at_once(const Model& model, const std::vector<std::int32_t>& ids) {
    const BoundModel bound(model, DType::f32, cpu_backend());
    return bound.scores(Tensor::from<std::int32_t>({1, std::ssize(ids)}, ids));
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return worst;
}

std::vector<std::int32_t> some_ids(std::size_t count, std::int64_t vocabulary) {
    std::vector<std::int32_t> ids(count);
    for (std::size_t i = 0; i < count; ++i)
        ids[i] = static_cast<std::int32_t>((7 + 31 * i * i) % static_cast<std::size_t>(vocabulary));
    return ids;
}

ModelInput input_of(const Model& model, std::int64_t positions) {
    ModelInput input = model.input();
    input.max_positions = positions;
    return input;
}

}  // namespace

TEST_CASE("tokens read one by one, or in parts, give the logits of one forward") {
    for (const std::string name : {"gpt2", "opt", "qwen2", "llama_biased", "mistral", "qwen3", "phi3",
                                   "gemma2", "gemma3", "gpt_neox", "olmo2", "mixtral", "qwen3_moe"}) {
        CAPTURE(name);
        const Model model(read_checkpoint(folder(name)));
        const std::int64_t vocabulary = model.graph().parameter(model.graph().head()).shape[0];
        const auto ids = some_ids(12, vocabulary);
        const Tensor expected = at_once(model, ids);
        const auto logits_behind = [&](std::size_t token) {
            return expected.values<float>().subspan(token * static_cast<std::size_t>(vocabulary),
                                                    static_cast<std::size_t>(vocabulary));
        };
        struct Case {
            CacheType type;
            double tolerance;
        };
        for (const auto& [type, tolerance] :
             {Case{CacheType::f32, 2e-5}, Case{CacheType::f16, 5e-3}, Case{CacheType::int8, 1e-1}}) {
            CAPTURE(name_of(type));
            CachedDecoder decoder(model, input_of(model, 16),
                                  {.compute = DType::f32, .cache = type, .context = 16}, cpu_backend());
            for (std::size_t i = 0; i < ids.size(); ++i) {
                const Tensor logits = decoder.read(std::span(ids).subspan(i, 1));
                CHECK(largest_difference(logits.values<float>(), logits_behind(i)) < tolerance);
            }
            // Back to the fifth token, then the rest in two parts.
            decoder.keep(5);
            CHECK(decoder.position() == 5);
            (void)decoder.read(std::span(ids).subspan(5, 3));
            const Tensor logits = decoder.read(std::span(ids).subspan(8));
            CHECK(largest_difference(logits.values<float>(), logits_behind(11)) < tolerance);
            CHECK(decoder.position() == 12);
            CHECK_THROWS_WITH(decoder.read(std::span(ids).first(5)),
                              Catch::Contains("exceed the context of 16"));
            CHECK(decoder.position() == 12);
        }
    }
}

TEST_CASE("angles that change with a text's length are not read on with") {
    const Model model(read_checkpoint(folder("phi3")));
    CachedDecoder decoder(model, input_of(model, 32), {.compute = DType::f32, .context = 32}, cpu_backend());
    const auto ids = some_ids(17, 250);
    (void)decoder.read(std::span(ids).first(16));
    CHECK_THROWS_WITH(decoder.read(std::span(ids).last(1)), Catch::Contains("more than 16 tokens"));
}

TEST_CASE("a model that predicts no tokens cannot generate") {
    const Model encoder(read_checkpoint(folder("bert")));
    CHECK_THROWS_WITH(CachedDecoder(encoder, encoder.input(), {}, cpu_backend()),
                      Catch::Contains("predicts no tokens"));
}

TEST_CASE("a cache keeps what is appended, by type, over pages") {
    constexpr std::int64_t tokens = KeyValueCache::page_tokens + 3;
    const CacheShape shape{.sequences = 2, .heads = 3, .head_dim = 8};
    std::vector<float> values(static_cast<std::size_t>(2 * tokens * 24));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i)) * 3.0F;
    const Tensor keys = Tensor::from<float>({2, tokens, 24}, values);
    for (const CacheType type : {CacheType::f32, CacheType::f16, CacheType::int8}) {
        CAPTURE(name_of(type));
        KeyValueCache cache(type);
        cache.append(shape, keys, keys);
        CHECK(cache.tokens() == tokens);
        CHECK(cache.pages() == 2);
        CHECK(cache.rows(KeyValueCache::Part::keys, 1, 2, 1).count == 3);
        CHECK_THROWS(cache.append({2, 3, 4}, keys, keys));
        // Attention of one query that looks at a single key gives back that key's value.
        cache.keep(1);
        const AttentionShape attention{
            .sequences = 2, .length = 1, .query_heads = 3, .key_heads = 3, .head_dim = 8};
        const Tensor q = Tensor::zeros({2, 1, 24});
        const Tensor y = cpu_backend().cached_attention(attention, q, cache);
        const double tolerance = type == CacheType::f32 ? 0 : (type == CacheType::f16 ? 2e-3 : 2e-2);
        for (std::int64_t sequence = 0; sequence < 2; ++sequence)
            for (std::int64_t i = 0; i < 24; ++i)
                CHECK(std::abs(y.data<float>()[sequence * 24 + i] -
                               values[static_cast<std::size_t>(sequence * tokens * 24 + i)]) <= tolerance);
        cache.keep(0);
        CHECK(cache.pages() == 0);
    }
}

TEST_CASE("what is not finite stays so in every cache") {
    const CacheShape shape{.sequences = 1, .heads = 1, .head_dim = 4};
    for (const CacheType type : {CacheType::f32, CacheType::f16, CacheType::int8}) {
        for (const float bad :
             {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
            KeyValueCache cache(type);
            const Tensor keys = Tensor::from<float>({1, 1, 4}, std::vector<float>{1, bad, 2, 3});
            cache.append(shape, keys, keys);
            const Tensor y =
                cpu_backend().cached_attention({1, 1, 1, 1, 4, true, 1.0}, Tensor::zeros({1, 1, 4}), cache);
            bool finite = true;
            for (const float each : y.values<float>()) finite = finite && std::isfinite(each);
            CHECK_FALSE(finite);
        }
    }
}
