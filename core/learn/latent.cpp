#include "core/learn/latent.hpp"

#include "core/learn/coded_matrix.hpp"
#include "core/learn/segment_steps.hpp"

#include <algorithm>

namespace jlcm {

void for_placed_weights(const CompressedMatrix& matrix, const Tensor& target,
                        const std::function<void(const PlacedWeight&)>& body) {
    const Tensor tables = group_tables(matrix);
    const GroupMap groups = matrix.layout.group_map();
    const CodedMatrix coded = coded_matrix(matrix, tables, groups);
    const auto words = static_cast<std::size_t>(coded.codewords);
    for_segments(coded, [&](const Segment& segment) {
        const std::span<const float> values(coded.table(segment.group), words);
        const float spacing = coded.spacing(segment.group);
        for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i)
            body({.index = i,
                  .target = target.data<float>()[i],
                  .code = coded.codes[i],
                  .values = values,
                  .spacing = spacing});
    });
}

void StartMargin::fields(Fields& v) {
    v("margin", least,
      Doc{"How far from changing its codeword a weight starts at least, in spacings. A solver maps many "
          "weights to a codeword that is not their nearest; without a margin the first step would undo that.",
          "docs/method.md"},
      Range{0.0, 0.5});
    v("margin_spread", spread,
      Doc{"Each weight's margin is up to this much wider, at random: weights that are pushed the same way "
          "then change one after the other, not all in one step.",
          "docs/method.md"},
      Range{0.0, 0.5});
}

float StartMargin::of(std::int64_t index) const {
    return static_cast<float>(least + spread * rng_.uniform(static_cast<std::uint64_t>(index)));
}

Tensor latent_in_cells(const CompressedMatrix& matrix, const Tensor& target, const StartMargin& margin) {
    Tensor latent = Tensor::empty({matrix.layout.rows, matrix.layout.cols});
    for_placed_weights(matrix, target, [&](const PlacedWeight& weight) {
        const auto code = static_cast<std::size_t>(weight.code);
        const float here = weight.values[code];
        const float inset = margin.of(weight.index) * weight.spacing;
        float placed = weight.target;
        if (code > 0) {
            const float low = 0.5F * (weight.values[code - 1] + here) + inset;
            if (placed < low) placed = std::min(low, here);
        }
        if (code + 1 < weight.values.size()) {
            const float high = 0.5F * (here + weight.values[code + 1]) - inset;
            if (placed > high) placed = std::max(high, here);
        }
        latent.data<float>()[weight.index] = placed;
    });
    return latent;
}

}  // namespace jlcm
