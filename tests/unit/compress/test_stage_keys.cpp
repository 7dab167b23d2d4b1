// The keys of results that runs share cover what these results depend on.

#include "core/compress/stage_keys.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// Tokens of 6 windows; the first 4 are what the layer-wise stages see.
Tensor windows(std::int32_t in_the_last) {
    Tensor samples = Tensor::zeros({6, 8}, DType::i32);
    samples.data<std::int32_t>()[3] = 1;
    samples.data<std::int32_t>()[5 * 8] = in_the_last;
    return samples;
}

class Keys {
  public:
    nlohmann::json solved(const CompressOptions& options, const Tensor& samples, std::int64_t observed = 4) {
        const auto plan = plan_compression(model_.graph(), options);
        const Compression run{options,
                              model_,
                              plan,
                              cpu_backend(),
                              DType::f32,
                              0,
                              source(DType::f32),
                              {files_, metrics_, stages_, cache_}};
        return StageKeys(run, samples, observed).solved(1);
    }
    [[nodiscard]] nlohmann::json source(DType compute) const {
        return source_key("auto", model_, cpu_backend(), compute, nullptr);
    }

  private:
    test::TemporaryDirectory directory_;
    Model model_ = test::tiny_llama();
    RunFiles files_{directory_.path()};
    Metrics metrics_{files_.metrics()};
    Stages stages_;
    StageCache cache_{directory_.path() / "cache", 1e6};
};

}  // namespace

TEST_CASE("the key of a solved block covers the samples that it depends on, and no others") {
    Keys keys;
    for (const Inputs inputs : {Inputs::original, Inputs::compressed}) {
        CompressOptions options;
        options.solver_inputs = inputs;
        const bool sees_compressed = inputs == Inputs::compressed;
        const auto key = keys.solved(options, windows(1));
        CHECK(keys.solved(options, windows(1)) == key);
        CHECK(keys.solved(options, windows(2)) == key);     // the solver does not see the last window
        CHECK(keys.solved(options, windows(2), 6) != key);  // now it does
        // The statistics of norms are corrected on all samples, and later blocks read what follows from them.
        options.recalibrate_norms = true;
        const auto corrected = keys.solved(options, windows(1));
        CHECK(keys.solved(options, windows(1)) == corrected);
        CHECK((keys.solved(options, windows(2)) != corrected) == sees_compressed);
        CHECK((corrected != key) == sees_compressed);
    }
}

TEST_CASE("keys name the device and the type of products") {
    Keys keys;
    CHECK(keys.source(DType::f32).at("backend") == cpu_backend().describe());
    CHECK(keys.source(DType::f32) != keys.source(DType::bf16));
}
