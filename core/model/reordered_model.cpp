#include "core/model/reordered_model.hpp"

#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

ReorderedTensor owning(const StoredTensor& like, Encoding encoding, std::vector<std::byte> bytes) {
    const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    ReorderedTensor result{like, owner};
    result.stored.encoding = encoding;
    result.stored.bytes = *owner;
    return result;
}

std::vector<std::byte> to_float16(const std::string& name, const Tensor& values) {
    constexpr float largest = 65504.0F;
    for (const float value : values.values<float>())
        require(std::abs(value) <= largest, "{}: {} is beyond float16, which re-ordered columns are kept in",
                name, value);
    return encode(values.values<float>(), Encoding::f16);
}

}  // namespace

ReorderedModel::ReorderedModel(const WeightSource& base, const PermutationAnalysis& analysis,
                               const Permutations& permutations)
    : base_(&base) {
    analysis.validate(permutations);
    const auto& parameters = base.graph().parameters();
    for (ParameterId id = 0; id < static_cast<ParameterId>(parameters.size()); ++id) {
        const std::size_t dimensions = parameters[static_cast<std::size_t>(id)].shape.size();
        orders_.emplace_back();
        if (dimensions > 0) orders_.back().rows = analysis.order({id, 0}, permutations);
        if (dimensions > 1) orders_.back().columns = analysis.order({id, 1}, permutations);
    }
}

Tensor ReorderedModel::weight(ParameterId id) const {
    return jlcm::reorder(base_->weight(id), rows(id), columns(id));
}

namespace {

/// Whether rows move as they are encoded.
bool moves_whole_rows(const StoredTensor& stored, bool columns_move) {
    return !columns_move && stored.cols() % block_values(stored.encoding) == 0;
}

bool is_plain(Encoding encoding) {
    return encoding == Encoding::f32 || encoding == Encoding::f16 || encoding == Encoding::bf16;
}

}  // namespace

Encoding reordered_encoding(const StoredTensor& stored, bool columns_move) {
    const bool keeps = moves_whole_rows(stored, columns_move) || is_plain(stored.encoding);
    return keeps ? stored.encoding : Encoding::f16;
}

ReorderedTensor reorder(const StoredTensor& stored, const std::vector<std::int32_t>& rows,
                        const std::vector<std::int32_t>& columns) {
    ensure(!rows.empty() || !columns.empty(), "{} is not re-ordered", stored.name);
    if (moves_whole_rows(stored, !columns.empty()))
        return owning(stored, stored.encoding,
                      permute_rows(stored, std::vector<std::int64_t>(rows.begin(), rows.end())));
    const Tensor values = reorder(decode(stored), rows, columns);
    if (is_plain(stored.encoding))
        return owning(stored, stored.encoding, encode(values.values<float>(), stored.encoding));
    return owning(stored, Encoding::f16, to_float16(stored.name, values));
}

}  // namespace jlcm
