// How far outputs are from the original's.

#include "plugins/evaluation/outputs/distance.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

Tensor rows_of_two(const std::vector<float>& values) {
    return Tensor::from<float>({std::ssize(values) / 2, 2}, values);
}

Figures figures(OutputMeaning meaning, std::optional<std::size_t> axis, const std::vector<float>& original,
                const std::vector<float>& own) {
    OutputDistance distance(meaning, axis);
    distance.add(rows_of_two(original), rows_of_two(own), std::ssize(original) / 2);
    return distance.figures(false);
}

}  // namespace

TEST_CASE("labels agree if both models find each likelier than not, or neither does") {
    const std::vector<float> original{0.9F, 0.2F, 0.6F, 0.4F};
    const std::vector<float> own{0.7F, 0.6F, 0.4F, 0.3F};
    CHECK(figures(OutputMeaning::multilabel_probabilities, {}, original, own).agreement == 0.5);
    CHECK(figures(OutputMeaning::multilabel_probabilities, 1, original, own).agreement == 1.0);
    CHECK(figures(OutputMeaning::multilabel_logits, {}, {1, -1, 2, 0.1F}, {2, -1, -1, 0.2F}).agreement ==
          0.75);
    CHECK(figures(OutputMeaning::logits, 1, {1, 2, 3, 4}, {2, 1, 3, 5}).agreement == 0.5);
    CHECK_FALSE(figures(OutputMeaning::values, {}, {1, 2, 3, 4}, {2, 1, 3, 5}).agreement.has_value());
}

TEST_CASE("the relative squared error is over all samples, and none is compared with itself") {
    const Figures found = figures(OutputMeaning::values, {}, {1, 2, 2, 1}, {1, 2, 2, 2});
    CHECK(found.value == Approx(0.1));
    CHECK(found.more.at("largest_difference") == 1.0);
    CHECK(found.more.at("cosine") == Approx(11 / std::sqrt(10 * 13.0)));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(figures(OutputMeaning::values, {}, {1, 2}, {nan, 2}).value));
}

TEST_CASE("the standard error counts a sample by its share of the error, however small its outputs are") {
    const Figures found = figures(OutputMeaning::values, {}, {10, 0, 0.001F, 0, 0, 10}, {10, 1, 1, 0, 0, 10});
    const auto items = found.items.get<std::vector<double>>();
    REQUIRE(items.size() == 3);
    CHECK((items[0] + items[1] + items[2]) / 3 == Approx(found.value));
    CHECK(found.standard_error.value() == Approx(found.value / 2).epsilon(1e-2));
}

TEST_CASE("several outputs together have the mean of their figures") {
    const Figures labels = figures(OutputMeaning::multilabel_logits, {}, {1, -1, 2, 0.1F}, {2, -1, -1, 0.2F});
    const Figures values = figures(OutputMeaning::values, {}, {1, 2, 2, 1}, {1, 2, 2, 2});
    const Figures both = together({"labels", "values"}, {labels, values});
    CHECK(both.value == Approx((labels.value + values.value) / 2));
    CHECK(both.agreement == 0.75);
    CHECK(both.kl == labels.kl);
    CHECK(both.more.at("outputs").at("values").at("relative_squared_error") == values.value);
    CHECK_FALSE(together({"a", "b"}, {values, values}).agreement.has_value());
}
