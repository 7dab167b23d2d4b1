#include "core/base/hash.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace jlcm {

void Sha256::Free::operator()(void* context) const {
    EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    ensure(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr) == 1,
           "SHA-256 is not available");
}

Sha256& Sha256::update(std::span<const std::byte> bytes) {
    EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size());
    return *this;
}

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), digest.data(), &length);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
}

std::string sha256(std::span<const std::byte> bytes) {
    return Sha256().update(bytes).hex();
}
std::string sha256(std::string_view text) {
    return Sha256().update(text).hex();
}

std::string sha256(const MappedFile& file) {
    constexpr std::size_t step = std::size_t{1} << 22;  // in memory at a time
    Sha256 hash;
    for (std::size_t at = 0; at < file.bytes().size(); at += step) {
        hash.update(file.bytes().subspan(at, std::min(step, file.bytes().size() - at)));
        release_mapped_pages();
    }
    return hash.hex();
}

}  // namespace jlcm
