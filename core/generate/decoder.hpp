#pragma once
// What generation needs of a model.

#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <span>

namespace jlcm {

/// A language model that reads tokens one after another and remembers them.
class Decoder {
  public:
    Decoder() = default;
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    virtual ~Decoder() = default;

    /// Reads `tokens` (at least one) behind those that were read, and returns the logits of the token that follows:
    /// float32 [vocabulary]. Undefined if an interrupt stops it, between steps of some hundred tokens; position() then
    /// says how many were read. An input error if context() is exceeded.
    [[nodiscard]] virtual Tensor read(std::span<const std::int32_t> tokens) = 0;
    /// Forgets all but the first `count` tokens that were read.
    virtual void keep(std::int64_t count) = 0;
    /// Tokens read.
    [[nodiscard]] virtual std::int64_t position() const = 0;
    /// Most tokens that it can hold.
    [[nodiscard]] virtual std::int64_t context() const = 0;
};

}  // namespace jlcm
