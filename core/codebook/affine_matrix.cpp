#include "core/codebook/affine_matrix.hpp"

#include "core/base/error.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace jlcm {
namespace {

/// What the codewords of a group are in an affine type.
struct GroupLevels {
    AffineGrid grid;
    std::array<int, 256> level_of{};  ///< by codeword
};

std::optional<GroupLevels> levels_at(const AffineEncoding& type, const AffineGrid& grid,
                                     std::span<const float> values) {
    if (f16_rounded(grid.step) != grid.step || f16_rounded(grid.minimum) != grid.minimum) return std::nullopt;
    GroupLevels found{.grid = grid};
    for (std::size_t k = 0; k < values.size(); ++k) {
        const float level = grid.step == 0 ? 0.0F : std::round((values[k] - grid.minimum) / grid.step);
        const bool is_level =
            level >= static_cast<float>(type.lowest) && level <= static_cast<float>(type.highest);
        if (!is_level || level * grid.step + grid.minimum != values[k]) return std::nullopt;
        found.level_of.at(k) = static_cast<int>(level);
    }
    return found;
}

/// Of a group of an even grid, whose codewords are one step apart or, where they lie evenly about zero, two.
std::optional<GroupLevels> levels_of(const AffineEncoding& type, const CompressedMatrix& matrix,
                                     std::int64_t group) {
    std::array<float, 256> all{};
    const std::span<float> values(all.data(), static_cast<std::size_t>(matrix.layout.codewords()));
    matrix.group_values(group, values);
    const float* codebook = matrix.codebook(group);
    const float step = matrix.scale(group) * (codebook[1] - codebook[0]);
    if (type.has_minimum) return levels_at(type, {.step = step, .minimum = values.front()}, values);
    const auto found = levels_at(type, {.step = step}, values);
    return found ? found : levels_at(type, {.step = step / 2}, values);
}

bool is_in_blocks(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    return layout.dimension == 1 && layout.residual == 1 && matrix.outliers.empty() &&
           layout.cols % affine_block == 0 && layout.column_group % affine_block == 0;
}

}  // namespace

std::optional<Encoding> affine_encoding_of(const CompressedMatrix& matrix) {
    if (!is_in_blocks(matrix)) return std::nullopt;
    for (const AffineEncoding& type : affine_encodings) {
        std::int64_t group = 0;
        while (group < matrix.layout.groups() && levels_of(type, matrix, group)) ++group;
        if (group == matrix.layout.groups()) return type.encoding;
    }
    return std::nullopt;
}

std::vector<std::byte> affine_blocks(const CompressedMatrix& matrix, Encoding encoding) {
    const auto* const type = std::ranges::find(affine_encodings, encoding, &AffineEncoding::encoding);
    ensure(type != affine_encodings.end() && is_in_blocks(matrix), "a matrix that has no {} blocks",
           name_of(encoding));
    const Layout& layout = matrix.layout;
    const GroupMap groups = layout.group_map();
    const std::size_t bytes = block_bytes(encoding);
    const std::int64_t blocks = layout.cols / affine_block;
    std::vector<std::byte> result(static_cast<std::size_t>(layout.rows * blocks) * bytes);
    parallel_for(layout.rows, 1, [&](std::int64_t begin, std::int64_t end) {
        std::array<int, affine_block> levels{};
        for (std::int64_t row = begin; row < end; ++row) {
            const std::uint8_t* codes = matrix.mapping.data<std::uint8_t>() + row * layout.cols;
            std::byte* out = result.data() + static_cast<std::size_t>(matrix.model_row(row) * blocks) * bytes;
            groups.for_each_segment(row, [&](const Segment& segment) {
                const auto own = levels_of(*type, matrix, segment.group);
                ensure(own.has_value(), "group {} is no grid of {}", segment.group, name_of(encoding));
                for (std::int64_t first = segment.begin; first < segment.end; first += affine_block) {
                    for (std::size_t i = 0; i < levels.size(); ++i)
                        levels[i] = own->level_of.at(codes[first + static_cast<std::int64_t>(i)]);
                    write_affine_block(*type, own->grid, levels,
                                       out + static_cast<std::size_t>(first / affine_block) * bytes);
                }
            });
        }
    });
    return result;
}

}  // namespace jlcm
