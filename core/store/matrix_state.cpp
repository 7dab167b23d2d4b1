#include "core/store/matrix_state.hpp"

namespace jlcm {
namespace {

Tensor integers(const std::vector<std::int32_t>& values) {
    return Tensor::from<std::int32_t>({static_cast<std::int64_t>(values.size())}, values);
}

std::vector<std::int32_t> to_integers(const Layout& layout) {
    const auto narrow = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
    std::vector<std::int32_t> fields{narrow(layout.rows),
                                     narrow(layout.cols),
                                     layout.bits,
                                     layout.dimension,
                                     layout.residual,
                                     narrow(layout.column_group),
                                     narrow(layout.row_groups),
                                     layout.shared_codebook ? 1 : 0};
    for (const Run& run : layout.runs) {
        fields.push_back(narrow(run.start));
        fields.push_back(narrow(run.group));
    }
    return fields;
}

Layout layout_from(const Tensor& stored) {
    const auto fields = stored.values<std::int32_t>();
    require(fields.size() >= 8 && fields.size() % 2 == 0, "a layout of {} fields", fields.size());
    Layout layout{.rows = fields[0],
                  .cols = fields[1],
                  .bits = fields[2],
                  .dimension = fields[3],
                  .residual = fields[4],
                  .column_group = fields[5],
                  .row_groups = fields[6],
                  .runs = {},
                  .shared_codebook = fields[7] != 0};
    for (std::size_t i = 8; i < fields.size(); i += 2) layout.runs.push_back({fields[i], fields[i + 1]});
    return layout;
}

}  // namespace

void append_matrix(SavedState& state, const std::string& name, const CompressedMatrix& matrix) {
    const auto add = [&](const char* what, const Tensor& tensor) {
        if (tensor.defined()) state.tensors.push_back({name + what, tensor});
    };
    add(".layout", integers(to_integers(matrix.layout)));
    add(".codebooks", matrix.codebooks);
    add(".scales", matrix.scales);
    add(".offsets", matrix.offsets);
    add(".mapping", matrix.mapping);
    if (!matrix.row_order.empty()) add(".row_order", integers(matrix.row_order));
    if (matrix.outliers.empty()) return;
    add(".outlier_row_start", integers(matrix.outliers.row_start));
    add(".outlier_column", integers(matrix.outliers.column));
    const auto count = static_cast<std::int64_t>(matrix.outliers.value.size());
    add(".outlier_value", Tensor::from<float>({count}, matrix.outliers.value));
}

CompressedMatrix restore_matrix(const SavedState& state, const std::string& name) {
    const auto list = [&]<class T>(const char* what, std::vector<T>& values) {
        const Tensor tensor = state.find(name + what);
        if (!tensor.defined()) return;
        const auto stored = tensor.values<T>();
        values.assign(stored.begin(), stored.end());
    };
    const Tensor layout = state.find(name + ".layout");
    require(layout.defined(), "{} is not in the saved state", name);
    CompressedMatrix matrix;
    matrix.layout = layout_from(layout);
    matrix.codebooks = state.find(name + ".codebooks");
    matrix.scales = state.find(name + ".scales");
    matrix.offsets = state.find(name + ".offsets");
    matrix.mapping = state.find(name + ".mapping");
    list(".row_order", matrix.row_order);
    list(".outlier_row_start", matrix.outliers.row_start);
    list(".outlier_column", matrix.outliers.column);
    list(".outlier_value", matrix.outliers.value);
    matrix.validate(name);
    return matrix;
}

}  // namespace jlcm
