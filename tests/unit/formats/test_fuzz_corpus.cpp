// The corpus of tests/fuzz without sanitizers: files that are valid are read, and what fuzzing once found
// ("found_*") is refused or read, and nothing worse.
#include "core/base/files.hpp"
#include "tests/fuzz/readers.hpp"

#include <set>

#include <catch2/catch.hpp>

using namespace jlcm;

TEST_CASE("every reader reads its corpus, and refuses what fuzzing found with an input error") {
    const std::filesystem::path corpus = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/fuzz/corpus";
    std::set<std::string> seen;
    for (const auto& [name, reader] : fuzz::readers()) {
        for (const auto& entry : std::filesystem::directory_iterator(corpus / name)) {
            INFO(entry.path());
            const MappedFile file(entry.path());
            try {
                reader(file.bytes());
                seen.insert(name);
            } catch (const Error& error) {
                INFO(error.what());
                CHECK(error.kind() == ErrorKind::input);
            }
        }
        CHECK(seen.contains(name));
    }
}
