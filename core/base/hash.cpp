#include "core/base/hash.hpp"

#include <algorithm>

namespace jlcm {

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
