#include "core/formats/gzip.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include <zlib.h>

namespace jlcm {

std::vector<std::byte> gunzip(std::span<const std::byte> bytes, std::size_t limit) {
    z_stream stream{};
    constexpr int gzip_only = 16 + MAX_WBITS;
    ensure(inflateInit2(&stream, gzip_only) == Z_OK, "zlib gives no decoder");
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &inflateEnd);
    require(bytes.size() <= std::numeric_limits<uInt>::max(), "gzip data of {} bytes", bytes.size());
    // zlib takes a mutable pointer and only reads from it.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));  // NOLINT
    stream.avail_in = static_cast<uInt>(bytes.size());
    std::vector<std::byte> result;
    int status = Z_OK;
    while (status == Z_OK) {
        const std::size_t done = result.size();
        require(done <= limit, "gzip data unpack to more than {} bytes", limit);
        const std::size_t more = std::min(std::max<std::size_t>(done, 1 << 16), limit + 1 - done);
        result.resize(done + more);
        stream.next_out = reinterpret_cast<Bytef*>(result.data() + done);  // NOLINT: bytes for a C library
        stream.avail_out = static_cast<uInt>(more);
        status = inflate(&stream, Z_NO_FLUSH);
        result.resize(result.size() - stream.avail_out);
    }
    require(status == Z_STREAM_END, "damaged gzip data: {}",
            stream.msg != nullptr ? stream.msg : "cut short");
    require(result.size() <= limit, "gzip data unpack to more than {} bytes", limit);
    return result;
}

std::vector<std::byte> read_maybe_gzip(const std::filesystem::path& path, std::size_t limit) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    const bool packed = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
    if (!packed) return {bytes.begin(), bytes.end()};
    try {
        return gunzip(bytes, limit);
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

std::string read_text(const std::filesystem::path& path) {
    constexpr std::size_t most_bytes = std::size_t{1} << 34;
    const auto bytes = read_maybe_gzip(path, most_bytes);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: bytes of a text
}

}  // namespace jlcm
