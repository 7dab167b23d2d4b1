#pragma once
// SHA-256 (by OpenSSL if there is one): run identity, model content, pinned downloads, damaged checkpoints.

#include "core/base/files.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace jlcm {

/// An incremental SHA-256.
class Sha256 {
  public:
    Sha256();
    Sha256& update(std::span<const std::byte> bytes);
    Sha256& update(std::string_view text) {
        return update(std::as_bytes(std::span(text.data(), text.size())));
    }
    /// 64 lower-case hexadecimal digits; the object is spent afterwards.
    [[nodiscard]] std::string hex();

  private:
    struct Free {
        void operator()(void* context) const;
    };
    std::unique_ptr<void, Free> context_;
};

[[nodiscard]] std::string sha256(std::span<const std::byte> bytes);
[[nodiscard]] std::string sha256(std::string_view text);
/// Of a whole file, which may be larger than memory.
[[nodiscard]] std::string sha256(const MappedFile& file);

}  // namespace jlcm
