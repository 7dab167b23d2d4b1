#include "core/formats/gguf_metadata.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

using nlohmann::json;

ArchitectureMetadata::ArchitectureMetadata(const Gguf& gguf, const std::string& architecture,
                                           ProblemList& problems)
    : prefix_(architecture + "."), problems_(problems) {
    for (const auto& [key, value] : gguf.metadata)
        if (key.starts_with(prefix_)) left_[key] = &value;
}

json ArchitectureMetadata::number(const std::string& key) {
    const GgufValue* value = take(key);
    if (value == nullptr) return nullptr;
    if (!value->value.is_number()) {
        problem("metadata '{}' is not a number: models whose layers differ are not supported", full(key));
        return nullptr;
    }
    if (!std::isfinite(value->value.get<double>())) {
        problem("metadata '{}' is {}: the file is damaged", full(key), value->value.get<double>());
        return nullptr;
    }
    return value->type == GgufType::f32 ? json(shortest(value->value.get<float>())) : value->value;
}

std::string ArchitectureMetadata::string(const std::string& key, const std::string& otherwise) {
    const GgufValue* value = take(key);
    if (value == nullptr) return otherwise;
    if (value->type == GgufType::string) return value->value.get<std::string>();
    problem("metadata '{}' is not a string", full(key));
    return otherwise;
}

bool ArchitectureMetadata::flag(const std::string& key, bool otherwise) {
    const GgufValue* value = take(key);
    if (value == nullptr) return otherwise;
    if (value->value.is_boolean()) return value->value.get<bool>();
    problem("metadata '{}' is not true or false", full(key));
    return otherwise;
}

void ArchitectureMetadata::refuse_the_rest() {
    for (const auto& [key, value] : left_)
        problem("metadata '{}' means something that is not supported; choose a model without it", key);
}

const GgufValue* ArchitectureMetadata::take(const std::string& key) {
    const auto found = left_.find(full(key));
    if (found == left_.end()) return nullptr;
    const GgufValue* value = found->second;
    left_.erase(found);
    return value;
}

double shortest(float value) {
    const double candidate = std::stod(fmt::format("{}", value));
    return static_cast<float>(candidate) == value ? candidate : static_cast<double>(value);
}

const StoredTensor* find_tensor(const Gguf& gguf, std::string_view name) {
    const auto found = std::ranges::find(gguf.tensors, name, &StoredTensor::name);
    return found == gguf.tensors.end() ? nullptr : &*found;
}

}  // namespace jlcm
