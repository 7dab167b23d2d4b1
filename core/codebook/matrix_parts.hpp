#pragma once
// A compressed matrix as what files are made of: the JSON of its layout and tensors with suffixes to the
// matrix's name. Artifacts and saved states share these names and differ in how they encode the tensors.

#include "core/base/json.hpp"
#include "core/codebook/compressed_matrix.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Names of the parts behind the matrix's: those of an artifact (artifact.hpp), values in float32, int32 and
/// uint8.
namespace part {
inline constexpr std::string_view mapping = ".mapping";      ///< uint8 [residual, rows, codes of a row]
inline constexpr std::string_view codebooks = ".codebooks";  ///< float32 [codebooks, residual, K, dimension]
inline constexpr std::string_view scales = ".scales";        ///< float32 [groups]
inline constexpr std::string_view offsets = ".offsets";      ///< float32 [groups]
inline constexpr std::string_view runs = ".runs";            ///< int32 [runs, 2]: start and group
inline constexpr std::string_view row_order = ".row_order";  ///< int32 [rows]
inline constexpr std::string_view outlier_row_start = ".outlier_row_start";  ///< int32 [rows + 1]
inline constexpr std::string_view outlier_column = ".outlier_column";        ///< int32 [n]
inline constexpr std::string_view outlier_value = ".outlier_value";          ///< float32 [n]
}  // namespace part

/// All of a compressed matrix that decides which parts there are, and how many bytes they take.
struct MatrixForm {
    Layout layout;
    bool scales = false;
    bool offsets = false;
    bool row_order = false;
    std::int64_t outliers = 0;
};
[[nodiscard]] MatrixForm form_of(const CompressedMatrix& matrix);

struct PartForm {
    std::string_view suffix;
    Shape shape;
    DType type = DType::f32;
};
/// The parts that there are.
[[nodiscard]] std::vector<PartForm> parts_of(const MatrixForm& form);

/// A part that there is. Tensors of the matrix are shared, not copied.
[[nodiscard]] Tensor part_of(const CompressedMatrix& matrix, std::string_view suffix);

/// A layout's fields but for its runs, which are a part.
[[nodiscard]] nlohmann::json to_json(const Layout& layout);

/// Reads a part of a matrix whose layout, runs included, is valid by then; undefined where there is none.
using PartReader = std::function<Tensor(std::string_view suffix, const Layout& layout)>;

/// Whether a matrix is made with its mapping, or that stays undefined since it is kept elsewhere.
enum class MappingPart : std::uint8_t { read, elsewhere };

/// The matrix that `layout` (as to_json makes it) and the parts describe, to the same bits. Input errors name
/// the matrix `name`, and what is missing, unknown or out of range.
[[nodiscard]] CompressedMatrix matrix_from_parts(const std::string& name, const nlohmann::json& layout,
                                                 const PartReader& read,
                                                 MappingPart mapping = MappingPart::read);

}  // namespace jlcm
