// SHA-256 in a build without OpenSSL.

#include "core/base/hash.hpp"
#include "core/base/portable_sha256.hpp"

#include <fmt/format.h>

namespace jlcm {

void Sha256::Free::operator()(void* context) const {
    delete static_cast<PortableSha256*>(context);  // NOLINT: made below
}

Sha256::Sha256() : context_(new PortableSha256) {}  // NOLINT: of a type that the header does not know

Sha256& Sha256::update(std::span<const std::byte> bytes) {
    static_cast<PortableSha256*>(context_.get())->update(bytes);
    return *this;
}

std::string Sha256::hex() {
    std::string text;
    for (const std::uint8_t byte : static_cast<PortableSha256*>(context_.get())->finish())
        text += fmt::format("{:02x}", byte);
    return text;
}

}  // namespace jlcm
