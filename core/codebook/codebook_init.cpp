#include "core/codebook/codebook_init.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/kmeans.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

/// The segments of each group, in row order.
std::vector<std::vector<Segment>> segments_of_groups(const Layout& layout) {
    std::vector<std::vector<Segment>> result(static_cast<std::size_t>(layout.groups()));
    layout.group_map().for_each_segment(
        [&](const Segment& segment) { result[static_cast<std::size_t>(segment.group)].push_back(segment); });
    return result;
}

void require_scalar(const LayerProblem& problem, const Layout& layout) {
    require(layout.dimension == 1 && layout.residual == 1,
            "{}: codewords of dimension {} in {} stages; scalar ones are expected", problem.name,
            layout.dimension, layout.residual);
    require(problem.weights.rows() == layout.rows && problem.weights.cols() == layout.cols,
            "{}: weights {} for a layout of {} x {}", problem.name, to_string(problem.weights.shape()),
            layout.rows, layout.cols);
}

constexpr std::int64_t group_grain_weights = 1 << 15;

}  // namespace

ScaleFinder standard_scale(bool with_offset) {
    return [with_offset](std::span<const float> values, std::span<const float> /*weights*/) {
        double sum = 0;
        double squares = 0;
        for (const float v : values) {
            sum += static_cast<double>(v);
            squares += static_cast<double>(v) * static_cast<double>(v);
        }
        const auto n = static_cast<double>(std::max<std::size_t>(1, values.size()));
        const double offset = with_offset ? sum / n : 0.0;
        const double scale = std::sqrt(std::max(0.0, squares / n - offset * offset));
        return Affine{f16_rounded(static_cast<float>(scale)), f16_rounded(static_cast<float>(offset))};
    };
}

CompressedMatrix blank_matrix(const GroupedRows& grouped) {
    CompressedMatrix matrix = CompressedMatrix::zeros(grouped.layout);
    matrix.row_order = grouped.row_order;
    if (!grouped.layout.shared_codebook) return matrix;
    matrix.scales = Tensor::zeros({grouped.layout.groups()});
    if (grouped.offsets) matrix.offsets = Tensor::zeros({grouped.layout.groups()});
    return matrix;
}

CompressedMatrix fill_codebooks(const LayerProblem& problem, const GroupedRows& grouped,
                                const ImportanceOfRow& importance, const CodewordFinder& find,
                                const ScaleFinder& find_scale) {
    problem.validate();
    const Layout& layout = grouped.layout;
    layout.validate(problem.name);
    require_scalar(problem, layout);
    CompressedMatrix matrix = CompressedMatrix::zeros(layout);
    matrix.row_order = grouped.row_order;
    const auto k = static_cast<std::size_t>(layout.codewords());
    const Tensor stored = to_stored_order(problem.weights, matrix.row_order);
    const auto groups = segments_of_groups(layout);
    const auto count = static_cast<std::int64_t>(groups.size());
    const auto gather = [&](std::int64_t g, std::vector<float>& values, std::vector<float>& weights) {
        for (const auto& s : groups[static_cast<std::size_t>(g)]) {
            const auto size = static_cast<std::size_t>(s.size());
            const auto row = stored.values<float>().subspan(static_cast<std::size_t>(s.first), size);
            values.insert(values.end(), row.begin(), row.end());
            const auto known = importance(matrix.model_row(s.row));
            if (known.empty()) continue;
            const auto part = known.subspan(static_cast<std::size_t>(s.begin), size);
            weights.insert(weights.end(), part.begin(), part.end());
        }
    };
    const std::int64_t grain =
        std::max<std::int64_t>(1, group_grain_weights * count / (layout.rows * layout.cols));
    if (layout.shared_codebook) {
        const ScaleFinder scale_of = find_scale ? find_scale : standard_scale(grouped.offsets);
        matrix.scales = Tensor::empty({count});
        if (grouped.offsets) matrix.offsets = Tensor::empty({count});
        // What every group asks of the codebook, in its units; groups in order.
        std::vector<std::vector<float>> values(groups.size());
        std::vector<std::vector<float>> weights(groups.size());
        parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t g = begin; g < end; ++g) {
                auto& asked = values[static_cast<std::size_t>(g)];
                auto& counts = weights[static_cast<std::size_t>(g)];
                gather(g, asked, counts);
                const Affine affine = scale_of(asked, counts);
                matrix.scales.data<float>()[g] = affine.scale;
                if (grouped.offsets) matrix.offsets.data<float>()[g] = affine.offset;
                if (affine.scale == 0) asked.clear();
                if (affine.scale == 0) counts.clear();
                for (float& v : asked) v = (v - affine.offset) / affine.scale;
                for (float& w : counts) w *= affine.scale * affine.scale;
            }
        });
        std::vector<float> all_values;
        std::vector<float> all_weights;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            all_values.insert(all_values.end(), values[g].begin(), values[g].end());
            all_weights.insert(all_weights.end(), weights[g].begin(), weights[g].end());
        }
        find(all_values, all_weights, matrix.codebooks.values<float>());
    } else {
        parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
            std::vector<float> values;
            std::vector<float> weights;
            for (std::int64_t g = begin; g < end; ++g) {
                values.clear();
                weights.clear();
                gather(g, values, weights);
                find(values, weights,
                     matrix.codebooks.values<float>().subspan(static_cast<std::size_t>(g) * k, k));
            }
        });
    }
    matrix.round_to_storage(problem.name);
    map_to_nearest(matrix, problem.weights);
    return matrix;
}

void map_to_nearest(CompressedMatrix& matrix, const Tensor& weights) {
    const Layout& layout = matrix.layout;
    ensure(layout.dimension == 1 && layout.residual == 1,
           "the nearest codeword is defined for scalar codewords here");
    require_positive_scales("nearest codeword", matrix);
    const Tensor stored = to_stored_order(weights, matrix.row_order);
    const GroupMap groups = layout.group_map();
    const auto values = stored.values<float>();
    auto codes = matrix.mapping.values<std::uint8_t>();
    const std::int64_t grain = std::max<std::int64_t>(1, group_grain_weights / layout.cols);
    parallel_for(layout.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> codewords(static_cast<std::size_t>(layout.codewords()));
        for (std::int64_t row = begin; row < end; ++row) {
            groups.for_each_segment(row, [&](const Segment& segment) {
                const auto first = static_cast<std::size_t>(segment.first);
                const auto size = static_cast<std::size_t>(segment.size());
                matrix.group_values(segment.group, codewords);
                assign_nearest(values.subspan(first, size), codewords, codes.subspan(first, size));
            });
        }
    });
}

}  // namespace jlcm
