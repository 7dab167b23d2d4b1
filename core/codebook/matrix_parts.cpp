#include "core/codebook/matrix_parts.hpp"

#include <set>

namespace jlcm {
namespace {

Tensor integers(const std::vector<std::int32_t>& values) {
    return Tensor::from<std::int32_t>({static_cast<std::int64_t>(values.size())}, values);
}

Tensor table_of(const std::vector<Run>& runs) {
    Tensor table = Tensor::empty({static_cast<std::int64_t>(runs.size()), 2}, DType::i32);
    auto* out = table.data<std::int32_t>();
    for (const Run& run : runs) {
        *out++ = static_cast<std::int32_t>(run.start);
        *out++ = static_cast<std::int32_t>(run.group);
    }
    return table;
}

template <class T>
std::vector<T> list_of(const Tensor& tensor) {
    if (!tensor.defined()) return {};
    const auto values = tensor.values<T>();
    return {values.begin(), values.end()};
}

Layout layout_from(const nlohmann::json& j) {
    static const std::set<std::string> known{"rows",      "cols",     "bits",         "row_groups",
                                             "dimension", "residual", "column_group", "shared_codebook"};
    require(j.is_object(), "the layout is not an object");
    for (const auto& [key, value] : j.items()) {
        require(known.contains(key), "the layout has an unknown key '{}'", key);
        require(key == "shared_codebook" ? value.is_boolean() : value.is_number_unsigned(),
                "layout: {} is {}", key, value.dump());
    }
    constexpr std::uint64_t limit = std::uint64_t{1} << 31;
    const auto number = [&](const char* key, std::int64_t otherwise) -> std::int64_t {
        if (!j.contains(key)) {
            require(otherwise >= 0, "the layout lacks '{}'", key);
            return otherwise;
        }
        const auto value = j.at(key).get<std::uint64_t>();
        require(value < limit, "layout: {} is {}", key, value);
        return static_cast<std::int64_t>(value);
    };
    Layout layout;
    layout.rows = number("rows", -1);
    layout.cols = number("cols", -1);
    layout.bits = static_cast<int>(number("bits", -1));
    layout.row_groups = number("row_groups", -1);
    layout.dimension = static_cast<int>(number("dimension", 1));
    layout.residual = static_cast<int>(number("residual", 1));
    layout.column_group = number("column_group", 0);
    layout.shared_codebook = j.value("shared_codebook", false);
    return layout;
}

}  // namespace

nlohmann::json to_json(const Layout& layout) {
    nlohmann::json j{{"rows", layout.rows},
                     {"cols", layout.cols},
                     {"bits", layout.bits},
                     {"row_groups", layout.row_groups}};
    if (layout.dimension != 1) j["dimension"] = layout.dimension;
    if (layout.residual != 1) j["residual"] = layout.residual;
    if (layout.column_group != 0) j["column_group"] = layout.column_group;
    if (layout.shared_codebook) j["shared_codebook"] = true;
    return j;
}

MatrixForm form_of(const CompressedMatrix& matrix) {
    return {.layout = matrix.layout,
            .scales = matrix.scales.defined(),
            .offsets = matrix.offsets.defined(),
            .row_order = !matrix.row_order.empty(),
            .outliers = std::ssize(matrix.outliers.column)};
}

std::vector<PartForm> parts_of(const MatrixForm& form) {
    const Layout& layout = form.layout;
    std::vector<PartForm> parts{
        {part::mapping, {layout.residual, layout.rows, layout.codes_per_row()}, DType::u8},
        {part::codebooks,
         {layout.codebooks(), layout.residual, layout.codewords(), layout.dimension},
         DType::f32}};
    if (form.scales) parts.push_back({part::scales, {layout.groups()}, DType::f32});
    if (form.offsets) parts.push_back({part::offsets, {layout.groups()}, DType::f32});
    if (!layout.runs.empty()) parts.push_back({part::runs, {std::ssize(layout.runs), 2}, DType::i32});
    if (form.row_order) parts.push_back({part::row_order, {layout.rows}, DType::i32});
    if (form.outliers == 0) return parts;
    parts.push_back({part::outlier_row_start, {layout.rows + 1}, DType::i32});
    parts.push_back({part::outlier_column, {form.outliers}, DType::i32});
    parts.push_back({part::outlier_value, {form.outliers}, DType::f32});
    return parts;
}

Tensor part_of(const CompressedMatrix& matrix, std::string_view suffix) {
    if (suffix == part::mapping) return matrix.mapping;
    if (suffix == part::codebooks) return matrix.codebooks;
    if (suffix == part::scales) return matrix.scales;
    if (suffix == part::offsets) return matrix.offsets;
    if (suffix == part::runs) return table_of(matrix.layout.runs);
    if (suffix == part::row_order) return integers(matrix.row_order);
    const Outliers& outliers = matrix.outliers;
    if (suffix == part::outlier_row_start) return integers(outliers.row_start);
    if (suffix == part::outlier_column) return integers(outliers.column);
    ensure(suffix == part::outlier_value, "a matrix has no part '{}'", suffix);
    return Tensor::from<float>({std::ssize(outliers.value)}, outliers.value);
}

CompressedMatrix matrix_from_parts(const std::string& name, const nlohmann::json& layout,
                                   const PartReader& read, MappingPart mapping) {
    CompressedMatrix matrix;
    matrix.layout = layout_from(layout);
    // Runs have to be known before the layout can be checked, and the layout before anything else is
    // allocated.
    const auto runs = list_of<std::int32_t>(read(part::runs, matrix.layout));
    for (std::size_t i = 0; i + 1 < runs.size(); i += 2) matrix.layout.runs.push_back({runs[i], runs[i + 1]});
    matrix.layout.validate(name);
    const auto get = [&](std::string_view suffix) { return read(suffix, matrix.layout); };
    if (mapping == MappingPart::read) matrix.mapping = get(part::mapping);
    matrix.codebooks = get(part::codebooks);
    matrix.scales = get(part::scales);
    matrix.offsets = get(part::offsets);
    matrix.row_order = list_of<std::int32_t>(get(part::row_order));
    matrix.outliers = {list_of<std::int32_t>(get(part::outlier_row_start)),
                       list_of<std::int32_t>(get(part::outlier_column)),
                       list_of<float>(get(part::outlier_value))};
    if (mapping == MappingPart::read) {
        matrix.validate(name);
    } else {
        matrix.validate_without_mapping(name);
    }
    return matrix;
}

}  // namespace jlcm
