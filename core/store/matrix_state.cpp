#include "core/store/matrix_state.hpp"

#include "core/codebook/matrix_parts.hpp"

namespace jlcm {
namespace {

constexpr const char* layout_suffix = ".layout";

}  // namespace

void append_matrix(SavedState& state, const std::string& name, const CompressedMatrix& matrix) {
    state.words[name + layout_suffix] = to_json(matrix.layout).dump();
    for (const PartForm& each : parts_of(form_of(matrix)))
        state.tensors.push_back({name + std::string(each.suffix), part_of(matrix, each.suffix)});
}

CompressedMatrix restore_matrix(const SavedState& state, const std::string& name) {
    const auto layout = state.words.find(name + layout_suffix);
    require(layout != state.words.end(), "{} is not in the saved state", name);
    return matrix_from_parts(name, nlohmann::json::parse(layout->second),
                             [&](std::string_view suffix, const Layout& /*layout*/) {
                                 return state.find(name + std::string(suffix));
                             });
}

}  // namespace jlcm
