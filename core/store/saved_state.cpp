#include "core/store/saved_state.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/log.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>
#include <memory>

namespace jlcm {
namespace {

constexpr const char* digest_key = "sha256";

Encoding encoding_of(DType type) {
    switch (type) {
        case DType::f32:
            return Encoding::f32;
        case DType::f16:
            return Encoding::f16;
        case DType::bf16:
            return Encoding::bf16;
        case DType::i32:
            return Encoding::i32;
        case DType::u8:
            return Encoding::u8;
        case DType::f64:
            break;
    }
    ensure(false, "a state of type {}", name_of(type));
    return Encoding::f32;
}

DType dtype_of(Encoding encoding) {
    for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i32, DType::u8})
        if (encoding_of(type) == encoding) return type;
    fail("a tensor of {}", name_of(encoding));
}

/// Of everything but the digest itself.
std::string digest(const SavedState& state) {
    Sha256 hash;
    for (const auto& [key, word] : state.words)
        if (key != digest_key) hash.update(fmt::format("{}:{}={}:{}\n", key.size(), key, word.size(), word));
    for (const NamedTensor& each : state.tensors) {
        hash.update(fmt::format("{} {} {}\n", each.name, name_of(each.tensor.dtype()),
                                to_string(each.tensor.shape())));
        hash.update(each.tensor.bytes());
    }
    return hash.hex();
}

SavedState parse(const std::shared_ptr<const MappedFile>& file, StateResidence residence) {
    const Safetensors parsed = parse_safetensors(file->bytes());
    SavedState state{.words = parsed.metadata, .tensors = {}};
    for (const StoredTensor& stored : parsed.tensors) {
        if (residence == StateResidence::file && stored.encoding == Encoding::u8) {
            state.tensors.push_back({stored.name, Tensor::view(stored.shape, DType::u8, stored.bytes, file)});
            continue;
        }
        Tensor tensor = Tensor::empty(stored.shape, dtype_of(stored.encoding));
        std::ranges::copy(stored.bytes, tensor.bytes().begin());
        state.tensors.push_back({stored.name, std::move(tensor)});
    }
    const auto found = state.words.find(digest_key);
    require(found != state.words.end() && found->second == digest(state),
            "its content does not have the SHA-256 that it was written with");
    state.words.erase(found);
    return state;
}

}  // namespace

Tensor SavedState::find(const std::string& name) const {
    const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
    return found == tensors.end() ? Tensor() : found->tensor;
}

void save_state(const std::filesystem::path& path, const SavedState& state) {
    auto metadata = state.words;
    metadata[digest_key] = digest(state);
    std::vector<TensorInfo> infos;
    for (const NamedTensor& each : state.tensors)
        infos.push_back({each.name, each.tensor.shape(), encoding_of(each.tensor.dtype())});
    auto writer = begin_safetensors(path, metadata, infos);
    for (const NamedTensor& each : state.tensors) writer.write(each.tensor.bytes());
    writer.commit();
}

std::optional<SavedState> load_state(const std::filesystem::path& path, StateResidence residence) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return std::nullopt;
    try {
        return parse(std::make_shared<const MappedFile>(path), residence);
    } catch (const Error& error) {
        log_warning("{} is damaged and is not used: {}", path.string(), error.what());
        return std::nullopt;
    }
}

}  // namespace jlcm
