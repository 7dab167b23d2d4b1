#include "core/learn/curvature.hpp"

#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"

#include <algorithm>

namespace jlcm {

CurvatureEstimate::CurvatureEstimate(std::string name, const Shape& shape)
    : name_(std::move(name)), mean_(Tensor::zeros(shape)) {}

void CurvatureEstimate::update(const Tensor& probe, double factor, std::int64_t step) {
    ensure(probe.size() == mean_.size(), "{}: a probe {} for curvature {}", name_, to_string(probe.shape()),
           to_string(mean_.shape()));
    const float share = std::max(1.0F / static_cast<float>(step + 1), 0.1F);
    const auto scale = static_cast<float>(factor);
    const auto* sample = probe.data<float>();
    auto* mean = mean_.data<float>();
    parallel_for(mean_.size(), 1 << 15, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            mean[i] += share * (scale * sample[i] * sample[i] - mean[i]);
    });
}

void CurvatureEstimate::append_state(std::vector<NamedTensor>& state) const {
    state.push_back({name_ + ".curvature", mean_});
}

Tensor random_signs(const Shape& shape, std::uint64_t seed, std::string_view stream) {
    const Rng rng(seed, stream);
    Tensor signs = Tensor::empty(shape);
    for (std::int64_t i = 0; i < signs.size(); i += 64) {
        std::uint64_t bits = rng.bits(static_cast<std::uint64_t>(i / 64));
        for (std::int64_t j = i; j < std::min(i + 64, signs.size()); ++j, bits >>= 1U)
            signs.data<float>()[j] = (bits & 1U) != 0 ? 1.0F : -1.0F;
    }
    return signs;
}

}  // namespace jlcm
