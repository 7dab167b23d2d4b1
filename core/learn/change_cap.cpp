#include "core/learn/change_cap.hpp"

#include "core/learn/segment_steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>

namespace jlcm {
namespace {

/// How far each latent lies beyond the cell of its code, in spacings; 0 for a code that stays.
Tensor beyond_cells(const CodedMatrix& matrix, const Tensor& latent, const std::uint8_t* wanted) {
    Tensor beyond = Tensor::zeros(latent.shape());
    for_segments(matrix, [&](const Segment& segment) {
        const float* table = matrix.table(segment.group);
        const float gap = std::max(matrix.spacing(segment.group), std::numeric_limits<float>::min());
        for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i) {
            const int code = matrix.codes[i];
            if (wanted[i] == code) continue;
            const float border = 0.5F * (table[code] + table[wanted[i] > code ? code + 1 : code - 1]);
            const float distance = std::abs(latent.data<float>()[i] - border) / gap;
            // A latent on the border, or one among codewords that are all equal, comes last.
            beyond.data<float>()[i] = std::clamp(distance, 1e-30F, 1e30F);
        }
    });
    return beyond;
}

}  // namespace

void keep_largest(std::span<float> values, std::int64_t most) {
    std::vector<float> wanted;
    std::ranges::copy_if(values, std::back_inserter(wanted), [](float v) { return v > 0; });
    if (std::ssize(wanted) <= most) return;
    float least = std::numeric_limits<float>::infinity();  // of those that stay
    if (most > 0) {
        std::ranges::nth_element(wanted, wanted.begin() + (most - 1), std::greater());
        least = wanted[static_cast<std::size_t>(most - 1)];
    }
    std::int64_t equal = most - std::ranges::count_if(values, [&](float v) { return v > least; });
    for (float& v : values)
        if (v < least || (v == least && equal-- <= 0)) v = 0;
}

void step_capped(
    const CodedMatrix& matrix, const Tensor& latent, std::int64_t most, std::vector<std::int64_t>& jumps,
    const std::function<void(const CodedMatrix& matrix, std::vector<std::int64_t>& jumps)>& step) {
    if (most >= matrix.size()) {
        step(matrix, jumps);
        return;
    }
    std::vector<std::uint8_t> wanted(matrix.codes, matrix.codes + matrix.size());
    CodedMatrix all = matrix;
    all.codes = wanted.data();
    std::vector<std::int64_t> uncapped;
    step(all, uncapped);
    Tensor beyond = beyond_cells(matrix, latent, wanted.data());
    keep_largest(beyond.values<float>(), most);
    jumps.resize(std::max(jumps.size(), uncapped.size()));
    for (std::int64_t i = 0; i < matrix.size(); ++i) {
        if (beyond.data<float>()[i] == 0) continue;
        const int next = wanted[static_cast<std::size_t>(i)];
        ++jumps[static_cast<std::size_t>(std::abs(next - int{matrix.codes[i]}) - 1)];
        matrix.codes[i] = static_cast<std::uint8_t>(next);
    }
}

}  // namespace jlcm
