#include "core/codebook/entropy.hpp"

#include <cmath>
#include <span>
#include <vector>

namespace jlcm {

double mapping_entropy(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    const GroupMap groups = layout.group_map();
    const auto words = static_cast<std::size_t>(layout.codewords());
    const std::int64_t codes = layout.rows * layout.codes_per_row();
    double bits = 0;
    for (int stage = 0; stage < layout.residual; ++stage) {
        std::vector<std::int64_t> counts(static_cast<std::size_t>(layout.groups()) * words);
        const std::uint8_t* mapping = matrix.mapping.data<std::uint8_t>() + stage * codes;
        groups.for_each_segment([&](const Segment& segment) {
            const std::int64_t first = segment.first / layout.dimension;
            for (std::int64_t i = first; i < first + segment.size() / layout.dimension; ++i)
                ++counts[static_cast<std::size_t>(segment.group) * words + mapping[i]];
        });
        for (std::size_t first = 0; first < counts.size(); first += words) {
            const std::span<const std::int64_t> group(counts.data() + first, words);
            std::int64_t total = 0;
            for (const std::int64_t count : group) total += count;
            for (const std::int64_t count : group)
                if (count > 0)
                    bits += static_cast<double>(count) *
                            std::log2(static_cast<double>(total) / static_cast<double>(count));
        }
    }
    const auto all = static_cast<double>(layout.residual * codes);
    return all > 0 ? bits / all : 0;
}

}  // namespace jlcm
