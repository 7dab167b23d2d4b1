#include "core/learn/relabelling.hpp"

#include "core/learn/score_step.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace jlcm {

void for_relabelled_weights(
    const CompressedMatrix& matrix, const GroupMap& groups, const Tensor& former,
    const std::function<void(std::int64_t index, int code, const std::uint8_t* label)>& body) {
    const int words = matrix.layout.codewords();
    groups.for_each_segment([&](const Segment& segment) {
        const std::uint8_t* label =
            former.data<std::uint8_t>() + matrix.layout.codebook_of(segment.group) * words;
        for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i)
            body(i, matrix.mapping.data<std::uint8_t>()[i], label);
    });
}

void follow_labels(std::span<float> window, int begin, int former_begin, const std::uint8_t* label) {
    std::array<float, 256> old{};
    std::ranges::copy(window, old.begin());
    const auto size = static_cast<int>(window.size());
    for (int k = 0; k < size; ++k)
        window[static_cast<std::size_t>(k)] =
            old[static_cast<std::size_t>(std::clamp(label[begin + k] - former_begin, 0, size - 1))];
}

void follow_score_labels(std::span<float> window, int begin, int former_begin, int code,
                         const std::uint8_t* label) {
    const float top = window[static_cast<std::size_t>(label[code] - former_begin)];
    follow_labels(window, begin, former_begin, label);
    const auto size = static_cast<int>(window.size());
    for (int k = 0; k < size; ++k) {
        const int position = label[begin + k] - former_begin;
        if (position < 0 || position >= size)
            window[static_cast<std::size_t>(k)] =
                top - score_of_a_codeword * static_cast<float>(std::abs(begin + k - code));
    }
}

}  // namespace jlcm
