#include "core/model/continuations.hpp"
#include "tests/support/tiny_llama.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// By the logits of one text alone, in double precision.
double direct(const BoundModel& model, const std::vector<std::int32_t>& ids, std::size_t begin) {
    const Tensor logits = model.scores(Tensor::from<std::int32_t>({1, std::ssize(ids)}, ids));
    const auto width = static_cast<std::size_t>(logits.cols());
    double total = 0;
    for (std::size_t i = begin; i < ids.size(); ++i) {
        const auto row = logits.values<float>().subspan((i - 1) * width, width);
        double sum = 0;
        for (const float logit : row) sum += std::exp(static_cast<double>(logit));
        total += static_cast<double>(row[static_cast<std::size_t>(ids[i])]) - std::log(sum);
    }
    return total;
}

}  // namespace

TEST_CASE("likelihoods of continuations of many lengths are those of each alone") {
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    std::vector<std::vector<std::int32_t>> texts;
    std::vector<std::size_t> begins;
    for (std::int64_t i = 0; i < 90; ++i) {
        const std::int64_t length = 2 + (i * 7) % 59;
        const Tensor ids = test::random_ids({1, length}, 32, fmt::format("text {}", i));
        texts.emplace_back(ids.values<std::int32_t>().begin(), ids.values<std::int32_t>().end());
        begins.push_back(1 + static_cast<std::size_t>(i) % static_cast<std::size_t>(length - 1));
    }
    std::vector<Continuation> continuations;
    for (std::size_t i = 0; i < texts.size(); ++i) continuations.push_back({texts[i], begins[i]});
    std::int64_t last = 0;
    const auto found = log_likelihoods(bound, continuations, [&](std::int64_t done) { last = done; });
    CHECK(last == 90);
    REQUIRE(found.size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        CAPTURE(i, texts[i].size(), begins[i]);
        CHECK(found[i] == Approx(direct(bound, texts[i], begins[i])).margin(1e-4));
    }
    CHECK(log_likelihoods(bound, {}).empty());
}
