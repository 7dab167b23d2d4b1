#pragma once
// Checkpoints that are made up in memory.

#include "core/formats/checkpoint.hpp"

#include <memory>
#include <string>
#include <utility>

namespace jlcm::test {

/// Adds a float32 tensor, which the checkpoint then owns.
inline void add_parameter(Checkpoint& checkpoint, const std::string& name, Tensor tensor) {
    const auto values = std::make_shared<const Tensor>(std::move(tensor));
    StoredTensor stored;
    stored.name = name;
    stored.shape = values->shape();
    stored.encoding = Encoding::f32;
    stored.bytes = values->bytes();
    checkpoint.tensors[name] = stored;
    checkpoint.owners.push_back(values);
}

}  // namespace jlcm::test
