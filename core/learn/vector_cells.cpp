#include "core/learn/vector_cells.hpp"

#include "core/backend/cpu/kmeans_kernels.hpp"
#include "core/codebook/vector_codebooks.hpp"
#include "core/learn/vector_places.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm {
namespace {

/// The largest share t in [0, 1] of the way from a place's codewords by which the vector stays `inset` inside
/// the border to each other codeword, in each stage.
float share_inside(const Place& place, const Vector& way, float inset) {
    const Layout& layout = place.matrix.layout;
    float share = 1;
    for (int stage = 0; stage < layout.residual; ++stage) {
        const float* own = place.codeword(stage, place.code(stage));
        for (int k = 0; k < layout.codewords(); ++k) {
            const float* other = place.codeword(stage, k);
            const float distance = std::sqrt(squared_distance(own, other, layout.dimension));
            float towards = 0;  // of the way, times the distance
            for (int e = 0; e < layout.dimension; ++e)
                towards += way[static_cast<std::size_t>(e)] * (other[e] - own[e]);
            const float room = std::max(0.0F, 0.5F * distance - inset) * distance;
            if (towards > 0 && share * towards > room) share = room / towards;
        }
    }
    return share;
}

/// How many codewords of the stage lie nearer to `from` than `to` does, both left out.
int nearer_codewords(const Place& place, int stage, int from, int to) {
    const Layout& layout = place.matrix.layout;
    const float* origin = place.codeword(stage, from);
    const float way = squared_distance(origin, place.codeword(stage, to), layout.dimension);
    int nearer = 0;
    for (int k = 0; k < layout.codewords(); ++k)
        if (k != from && k != to &&
            squared_distance(origin, place.codeword(stage, k), layout.dimension) < way)
            ++nearer;
    return nearer;
}

}  // namespace

float vector_spacing(const CompressedMatrix& matrix, int stage) {
    const int words = matrix.layout.codewords();
    const int dimension = matrix.layout.dimension;
    const float* book = matrix.codebook(0, stage);
    float total = 0;
    for (int k = 0; k < words; ++k) {
        float least = std::numeric_limits<float>::infinity();
        for (int other = 0; other < words; ++other)
            if (other != k)
                least = std::min(least,
                                 squared_distance(book + k * dimension, book + other * dimension, dimension));
        total += std::sqrt(least);
    }
    return total / static_cast<float>(words);
}

float latent_spacing(const CompressedMatrix& matrix) {
    float least = vector_spacing(matrix, 0);
    for (int stage = 1; stage < matrix.layout.residual; ++stage)
        least = std::min(least, vector_spacing(matrix, stage));
    return least;
}

CodewordSearch::CodewordSearch(const CompressedMatrix& matrix)
    : words_(matrix.layout.codewords()), dimension_(matrix.layout.dimension) {
    for (int stage = 0; stage < matrix.layout.residual; ++stage) {
        const float* book = matrix.codebook(0, stage);
        columns_.push_back(codebook_columns(book, words_, dimension_));
        auto& lengths = lengths_.emplace_back();
        const Vector origin{};
        for (int k = 0; k < words_; ++k)
            lengths.push_back(squared_distance(book + k * dimension_, origin.data(), dimension_));
    }
}

int CodewordSearch::nearest(int stage, const float* vector) const {
    Vector slope{};
    for (int e = 0; e < dimension_; ++e) slope[static_cast<std::size_t>(e)] = -vector[e];
    const auto s = static_cast<std::size_t>(stage);
    return kmeans_kernels().best_codeword(words_, dimension_, columns_[s].data(), slope.data(),
                                          lengths_[s].data());
}

Tensor latent_vectors_in_cells(const CompressedMatrix& matrix, const Tensor& target,
                               const StartMargin& margin) {
    const int dimension = matrix.layout.dimension;
    const float spacing = latent_spacing(matrix);
    const GroupMap groups = matrix.layout.group_map();
    Tensor latent = Tensor::empty({matrix.layout.rows, matrix.layout.cols});
    for_places(matrix, [&](const Place& place) {
        const float scale = matrix.scale(groups.group_of_row(place.row));
        const float* original = target.data<float>() + place.index() * dimension;
        const Vector coded = place.sum(matrix.mapping);
        Vector way{};
        for (std::size_t e = 0; scale != 0 && e < static_cast<std::size_t>(dimension); ++e)
            way[e] = original[e] / scale - coded[e];
        const float share = share_inside(place, way, margin.of(place.index()) * spacing);
        for (std::size_t e = 0; e < static_cast<std::size_t>(dimension); ++e)
            latent.data<float>()[place.index() * dimension + static_cast<std::int64_t>(e)] =
                coded[e] + share * way[e];
    });
    return latent;
}

Tensor codes_of_cells(const CompressedMatrix& matrix, const Tensor& latent) {
    const int dimension = matrix.layout.dimension;
    const CodewordSearch search(matrix);
    Tensor wanted = Tensor::empty(matrix.mapping.shape(), DType::u8);
    for_places(matrix, [&](const Place& place) {
        const float* own = latent.data<float>() + place.index() * dimension;
        Vector rest{};  // of the latent, without what the codes stand for
        const Vector coded = place.sum(matrix.mapping);
        for (std::size_t e = 0; e < static_cast<std::size_t>(dimension); ++e) rest[e] = own[e] - coded[e];
        for (int stage = 0; stage < matrix.layout.residual; ++stage) {
            const std::int64_t at = place.of_stage(stage);
            const float* present = place.codeword(stage, place.code(stage));
            for (int e = 0; e < dimension; ++e) rest[static_cast<std::size_t>(e)] += present[e];
            const int code = search.nearest(stage, rest.data());
            wanted.data<std::uint8_t>()[at] = static_cast<std::uint8_t>(code);
            const float* word = place.codeword(stage, code);
            for (int e = 0; e < dimension; ++e) rest[static_cast<std::size_t>(e)] -= word[e];
        }
    });
    return wanted;
}

Tensor beyond_vector_cells(const CompressedMatrix& matrix, const Tensor& latent, const Tensor& wanted) {
    const int dimension = matrix.layout.dimension;
    const float spacing = std::max(latent_spacing(matrix), std::numeric_limits<float>::min());
    Tensor beyond = Tensor::zeros({matrix.layout.rows, matrix.layout.codes_per_row()});
    for_places(matrix, [&](const Place& place) {
        bool changes = false;
        for (int stage = 0; stage < matrix.layout.residual; ++stage)
            changes = changes || wanted.data<std::uint8_t>()[place.of_stage(stage)] != place.code(stage);
        if (!changes) return;
        const float* own = latent.data<float>() + place.index() * dimension;
        const Vector from = place.sum(matrix.mapping);
        const Vector to = place.sum(wanted);
        const float gain =
            squared_distance(own, from.data(), dimension) - squared_distance(own, to.data(), dimension);
        const float way = std::sqrt(squared_distance(from.data(), to.data(), dimension));
        // A latent on the border, or one among codewords that are all equal, comes last.
        const float distance = way > 0 ? 0.5F * gain / way / spacing : 0.0F;
        beyond.data<float>()[place.index()] = std::clamp(distance, 1e-30F, 1e30F);
    });
    return beyond;
}

void take_codes(CompressedMatrix& matrix, const Tensor& wanted, const Tensor& wishes, JumpHistogram& jumps) {
    const Layout& layout = matrix.layout;
    count_jumps_of_rows(layout, jumps, [&](std::int64_t row, std::int64_t* counts) {
        for (std::int64_t at = 0; at < layout.codes_per_row(); ++at) {
            const Place place{matrix, row, at};
            if (wishes.defined() && wishes.data<float>()[place.index()] == 0) continue;
            for (int stage = 0; stage < layout.residual; ++stage) {
                const int code = place.code(stage);
                const std::uint8_t next = wanted.data<std::uint8_t>()[place.of_stage(stage)];
                if (next == code) continue;
                ++counts[nearer_codewords(place, stage, code, next)];
                matrix.mapping.data<std::uint8_t>()[place.of_stage(stage)] = next;
            }
        }
    });
}

}  // namespace jlcm
