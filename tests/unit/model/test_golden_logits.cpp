// Logits of whole models against implementations that share nothing with ours: tests/golden/make_logits.py.

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/formats/json.hpp"
#include "core/model/scoring.hpp"
#include "tests/support/assets.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

namespace jlcm {
namespace {

/// Largest differences over all positions and ids of a fixture.
struct Difference {
    double logit = 0;
    double logsumexp = 0;
};

Difference difference_to(const std::string& fixture, const std::filesystem::path& model_path, DType compute) {
    const auto golden =
        parse_json(read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden" / fixture));
    const auto tokens = golden.at("tokens").get<std::vector<std::int32_t>>();
    const auto length = static_cast<std::int64_t>(tokens.size());

    Backend& backend = cpu_backend();
    const Model model(read_checkpoint(model_path));
    const BoundModel bound(model, compute, backend);
    const Tensor features = bound.features(Tensor::from<std::int32_t>({1, length}, tokens));
    const Tensor logits = backend.convert(backend.product(features, bound.head()), DType::f32);

    Difference worst;
    const std::int64_t vocabulary = logits.shape().back();
    for (const auto& entry : golden.at("positions")) {
        const float* row = logits.data<float>() + entry.at("position").get<std::int64_t>() * vocabulary;
        const double top = *std::max_element(row, row + vocabulary);
        double mass = 0;
        for (std::int64_t i = 0; i < vocabulary; ++i) mass += std::exp(row[i] - top);
        const double logsumexp = entry.at("logsumexp").get<double>();
        worst.logsumexp = std::max(worst.logsumexp, std::abs(std::log(mass) + top - logsumexp));
        for (std::size_t i = 0; i < entry.at("ids").size(); ++i) {
            const double ours = row[entry.at("ids")[i].get<std::int64_t>()];
            worst.logit = std::max(worst.logit, std::abs(ours - entry.at("logits")[i].get<double>()));
        }
    }
    return worst;
}

}  // namespace

TEST_CASE("logits of the default model equal llama.cpp's") {
    const auto path = test::default_model();
    JLCM_SKIP_UNLESS(path, "the default model is not in the cache (scripts/fetch_model.sh)");
    const Difference worst = difference_to("logits_default.json", *path, DType::f32);
    CHECK(worst.logit < 2e-4);
    CHECK(worst.logsumexp < 2e-4);
}

TEST_CASE("logits of stories260k equal a forward in double precision") {
    const auto root = test::assets();
    JLCM_SKIP_UNLESS(root, "no test assets (JLCM_ASSETS)");
    const Difference worst = difference_to("logits_stories260k.json", *root / "lm/stories260k", DType::f32);
    CHECK(worst.logit < 5e-5);
    CHECK(worst.logsumexp < 5e-5);
}

}  // namespace jlcm
