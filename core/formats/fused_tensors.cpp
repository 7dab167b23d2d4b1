#include "core/formats/fused_tensors.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace jlcm {
namespace {

/// "a.stem.weight" as "a.stem" and ".weight", if a fusion has that stem.
struct FusedName {
    const Fusion* fusion;
    std::string stem;
    std::string kind;
};

std::optional<FusedName> fused_name(const std::string& name, const std::vector<Fusion>& fusions) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) return std::nullopt;
    const std::string stem = name.substr(0, dot);
    for (const Fusion& fusion : fusions)
        if (stem == fusion.stem || stem.ends_with("." + fusion.stem))
            return FusedName{&fusion, stem, name.substr(dot)};
    return std::nullopt;
}

/// The parts of one tensor. Those of a single head are views of it.
std::vector<StoredTensor> parts_of(const StoredTensor& stored, const FusedName& name,
                                   Checkpoint& checkpoint) {
    const Fusion& fusion = *name.fusion;
    std::int64_t rows = 0;
    for (const Fusion::Part& part : fusion.parts) rows += part.rows;
    require(!stored.shape.empty() && stored.shape[0] == rows,
            "tensor '{}' of shape {} does not hold the {} rows of its parts", stored.name,
            to_string(stored.shape), rows);
    const std::size_t row_bytes = stored.bytes.size() / static_cast<std::size_t>(rows);
    const auto heads = static_cast<std::size_t>(fusion.heads);
    const std::size_t head_bytes = stored.bytes.size() / heads;
    std::vector<StoredTensor> parts;
    std::size_t first = 0;  // bytes within a head
    for (const Fusion::Part& each : fusion.parts) {
        StoredTensor part = stored;
        part.name = fmt::format("{}.{}{}", name.stem, each.name, name.kind);
        part.shape[0] = each.rows;
        const std::size_t size = static_cast<std::size_t>(each.rows) * row_bytes / heads;
        if (heads == 1) {
            part.bytes = stored.bytes.subspan(first, size);
        } else {
            std::vector<std::byte> bytes;
            bytes.reserve(size * heads);
            for (std::size_t head = 0; head < heads; ++head) {
                const auto own = stored.bytes.subspan(head * head_bytes + first, size);
                bytes.insert(bytes.end(), own.begin(), own.end());
            }
            part.bytes = kept(std::move(bytes), checkpoint);
        }
        first += size;
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace

std::span<const std::byte> kept(std::vector<std::byte> bytes, Checkpoint& checkpoint) {
    const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    checkpoint.owners.push_back(owner);
    return *owner;
}

void cut(Checkpoint& checkpoint, const std::vector<Fusion>& fusions) {
    std::map<std::string, StoredTensor> all;
    for (const auto& [name, stored] : checkpoint.tensors) {
        const auto fused = fused_name(name, fusions);
        if (!fused) {
            all.emplace(name, stored);
            continue;
        }
        for (StoredTensor& part : parts_of(stored, *fused, checkpoint)) {
            const std::string part_name = part.name;
            all.emplace(part_name, std::move(part));
        }
    }
    checkpoint.tensors = std::move(all);
}

void join(std::vector<FileTensor>& tensors, const std::vector<Fusion>& fusions) {
    std::vector<FileTensor> joined;
    for (FileTensor& tensor : tensors) {
        std::string& name = tensor.info.name;
        const std::size_t kind = name.rfind('.');
        const std::size_t part = name.rfind('.', kind - 1);
        const auto fused = part == std::string::npos
                               ? std::nullopt
                               : fused_name(name.substr(0, part) + name.substr(kind), fusions);
        if (!fused) {
            joined.push_back(std::move(tensor));
            continue;
        }
        name = fused->stem + fused->kind;
        tensor.heads = fused->fusion->heads;
        const auto same =
            std::ranges::find_if(joined, [&](const FileTensor& other) { return other.info.name == name; });
        if (same == joined.end()) {
            joined.push_back(std::move(tensor));
        } else {
            same->info.shape[0] += tensor.info.shape[0];
            same->parts.push_back(std::move(tensor.parts.front()));
        }
    }
    tensors = std::move(joined);
}

StoredTensor transposed(const StoredTensor& stored, Checkpoint& checkpoint) {
    require(stored.shape.size() == 2 && block_values(stored.encoding) == 1,
            "tensor '{}' of shape {} and type {} cannot be transposed", stored.name, to_string(stored.shape),
            name_of(stored.encoding));
    const auto rows = static_cast<std::size_t>(stored.shape[0]);
    const auto columns = static_cast<std::size_t>(stored.shape[1]);
    const std::size_t size = block_bytes(stored.encoding);
    std::vector<std::byte> bytes(stored.bytes.size());
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t column = 0; column < columns; ++column)
            std::memcpy(bytes.data() + (column * rows + row) * size,
                        stored.bytes.data() + (row * columns + column) * size, size);
    StoredTensor result = stored;
    result.shape = {stored.shape[1], stored.shape[0]};
    result.bytes = kept(std::move(bytes), checkpoint);
    return result;
}

}  // namespace jlcm
