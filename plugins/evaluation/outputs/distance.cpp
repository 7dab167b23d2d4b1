#include "plugins/evaluation/outputs/distance.hpp"

#include "core/model/divergence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm {
namespace {

constexpr std::size_t most_divergences = std::size_t{1} << 20U;  ///< enough for a 99th percentile

constexpr Divergence no_divergence{.kl = std::numeric_limits<float>::quiet_NaN()};

/// A dimension of an output as [outer, size, inner].
struct Lines {
    std::int64_t outer = 1;
    std::int64_t size = 1;
    std::int64_t inner = 1;
    Lines(const Shape& shape, std::size_t axis) : size(shape.at(axis)) {
        for (std::size_t d = 0; d < shape.size(); ++d)
            if (d != axis) (d < axis ? outer : inner) *= shape[d];
    }
    /// Where the largest element of a line lies; the first of equals.
    [[nodiscard]] std::int64_t arg_maximum(std::span<const float> values, std::int64_t line) const {
        const std::int64_t begin = line / inner * size * inner + line % inner;
        std::int64_t best = 0;
        for (std::int64_t i = 1; i < size; ++i)
            if (values[static_cast<std::size_t>(begin + i * inner)] >
                values[static_cast<std::size_t>(begin + best * inner)])
                best = i;
        return best;
    }
};

/// Of a mean over items.
std::optional<double> standard_error(const std::vector<double>& items) {
    const auto n = static_cast<double>(items.size());
    if (n <= 1) return std::nullopt;
    double mean = 0;
    for (const double item : items) mean += item / n;
    double squares = 0;
    for (const double item : items) squares += (item - mean) * (item - mean);
    return std::sqrt(squares / (n - 1) / n);
}

/// Over those that have one.
std::optional<double> mean_of(const std::vector<Figures>& outputs, std::optional<double> Figures::*figure) {
    double sum = 0;
    double count = 0;
    for (const Figures& each : outputs)
        if (each.*figure) {
            sum += *(each.*figure);
            ++count;
        }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

}  // namespace

void OutputDistance::add_sample(std::span<const float> original, std::span<const float> own) {
    double error = 0;
    for (std::size_t i = 0; i < original.size(); ++i) {
        const auto x = static_cast<double>(original[i]);
        const auto y = static_cast<double>(own[i]);
        is_finite_ = is_finite_ && std::isfinite(x) && std::isfinite(y);
        error += (x - y) * (x - y);
        reference_ += x * x;
        own_ += y * y;
        product_ += x * y;
        largest_ = std::max(largest_, std::abs(x - y));
    }
    error_ += error;
    errors_.push_back(error);
}

void OutputDistance::add_labels(std::span<const float> original, std::span<const float> own) {
    const float even = compared_as_ == OutputMeaning::multilabel_logits ? 0.0F : 0.5F;
    for (std::size_t i = 0; i < original.size(); ++i)
        agreeing_ += (original[i] > even) == (own[i] > even) ? 1 : 0;
    predictions_ += std::ssize(original);
}

void OutputDistance::add(const Tensor& original, const Tensor& own, std::int64_t samples) {
    require(original.shape() == own.shape(), "outputs: of shapes {} and {}", to_string(original.shape()),
            to_string(own.shape()));
    const auto a = original.values<float>();
    const auto b = own.values<float>();
    const std::size_t each = a.size() / static_cast<std::size_t>(samples);
    for (std::size_t begin = 0; begin + each <= a.size() && each > 0; begin += each)
        add_sample(a.subspan(begin, each), b.subspan(begin, each));
    if (axis_) {
        const Lines lines(own.shape(), *axis_);
        for (std::int64_t line = 0; line < lines.outer * lines.inner; ++line) {
            ++predictions_;
            agreeing_ += lines.arg_maximum(a, line) == lines.arg_maximum(b, line) ? 1 : 0;
        }
    }
    if (!axis_ && are_labels(compared_as_)) add_labels(a, b);
    if (compared_as_ == OutputMeaning::values) return;
    const auto classes = static_cast<std::size_t>(own.shape().back());
    for (std::size_t at = 0; at + classes <= a.size(); at += classes)
        add_row(a.subspan(at, classes), b.subspan(at, classes));
}

void OutputDistance::add_row(std::span<const float> original, std::span<const float> own) {
    const Reference reference(compared_as_, original);
    const double kl = reference.divergence(own);
    kl_ += kl;
    if (rows_++ % stride_ != 0) return;
    divergences_.push_back(
        {.kl = static_cast<float>(kl), .confidence = static_cast<float>(reference.confidence())});
    if (divergences_.size() < most_divergences) return;
    for (std::size_t i = 0; 2 * i < divergences_.size(); ++i) divergences_[i] = divergences_[2 * i];
    divergences_.resize((divergences_.size() + 1) / 2);
    stride_ *= 2;
}

Figures OutputDistance::figures(bool is_original) const {
    const auto finite = [&](double value) { return is_finite_ ? value : not_a_number; };
    const double norms = std::sqrt(reference_ * own_);
    std::vector<double> items = errors_;
    for (double& item : items) item *= item == 0 ? 0 : static_cast<double>(items.size()) / reference_;
    Figures result{.value = finite(error_ == 0 ? 0 : error_ / reference_),
                   .standard_error = {},
                   .kl = {},
                   .agreement = {},
                   .more = {{"cosine", finite(norms == 0 ? 1 : product_ / norms)},
                            {"largest_difference", finite(largest_)}},
                   .items = is_finite_ ? nlohmann::json(items) : nlohmann::json()};
    if (is_original) return result;
    if (is_finite_) result.standard_error = standard_error(items);
    if (predictions_ > 0)
        result.agreement = finite(static_cast<double>(agreeing_) / static_cast<double>(predictions_));
    if (rows_ == 0) return result;
    result.kl = finite(kl_ / static_cast<double>(rows_));
    result.more.update(kl_distribution(is_finite_ ? divergences_ : std::vector{no_divergence}));
    return result;
}

Figures together(const std::vector<std::string>& names, const std::vector<Figures>& outputs) {
    if (outputs.size() == 1) return outputs.front();
    const auto count = static_cast<double>(outputs.size());
    Figures result;
    result.kl = mean_of(outputs, &Figures::kl);
    result.agreement = mean_of(outputs, &Figures::agreement);
    std::vector<double> items;
    bool have_items = true;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const Figures& each = outputs[i];
        result.value += each.value / count;
        nlohmann::json& record = result.more["outputs"][names[i]];
        record = each.more;
        record["relative_squared_error"] = each.value;
        if (each.kl) record["kl"] = *each.kl;
        if (each.agreement) record["agreement"] = *each.agreement;
        have_items = have_items && !each.items.is_null();
        if (!have_items) continue;
        const auto own = each.items.get<std::vector<double>>();
        items.resize(own.size());
        for (std::size_t s = 0; s < own.size(); ++s) items[s] += own[s] / count;
    }
    if (!have_items) return result;
    result.items = items;
    if (outputs.front().standard_error) result.standard_error = standard_error(items);
    return result;
}

}  // namespace jlcm
