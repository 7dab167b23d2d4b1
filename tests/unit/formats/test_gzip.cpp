#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/gzip.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// `printf 'aaaaaaaaaabcabcabc' | gzip -n9`
test::Bytes packed() {
    test::Bytes bytes;
    for (const int value : {0x1f, 0x8b, 0x8, 0x0, 0x0, 0x0,  0x0,  0x0,  0x2,  0x3,  0x4b, 0x4c, 0x84, 0x81,
                            0xa4, 0x64, 0x8, 0x2, 0x0, 0x4f, 0x98, 0x36, 0x89, 0x12, 0x0,  0x0,  0x0})
        bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

std::string text_of(const std::vector<std::byte>& bytes) {
    std::string text;
    for (const std::byte each : bytes) text += static_cast<char>(each);
    return text;
}

}  // namespace

TEST_CASE("gzip data are unpacked, up to a limit") {
    CHECK(text_of(gunzip(packed(), 18)) == "aaaaaaaaaabcabcabc");
    CHECK(test::refuses([](auto bytes) { (void)gunzip(bytes, 17); }, packed()));
    const test::Reader read = [](auto bytes) { (void)gunzip(bytes, 1000); };
    CHECK(test::accepted_prefixes(read, packed()) == 0);
    CHECK(test::mutate(read, packed(), packed().size(), 300) > 200);

    const test::TemporaryDirectory directory;
    write_file(directory.path() / "plain", "plain");
    CHECK(text_of(read_maybe_gzip(directory.path() / "plain", 3)) == "plain");
    write_file(directory.path() / "packed", text_of(packed()));
    CHECK(read_maybe_gzip(directory.path() / "packed", 100).size() == 18);
}
