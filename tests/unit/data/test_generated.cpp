// Texts that a model writes for its own calibration.

#include "core/base/error.hpp"
#include "core/data/dataset.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;
using namespace jlcm::test;

namespace {

TextData written(const std::string& model, const std::string& more) {
    const std::string yaml = "{type: generated, model: " + model + ", tokens: 60, length: 24, " + more + "}";
    return load_text(*DatasetChoice::parse(yaml).make(), {});
}

}  // namespace

TEST_CASE("a model writes texts for its own calibration, the same ones for the same seed") {
    const auto root = assets();
    JLCM_SKIP_UNLESS(root, "no shared assets");
    const std::string model = (*root / "lm/stories260k").string();
    const TemporaryDirectory directory;
    const Environment cache("JLCM_CACHE", directory.path().string());
    const auto kept = directory.path() / "generated";

    const TextData first = written(model, "seed: 1");
    REQUIRE(first.documents.size() == 3);
    CHECK(first.documents[0] != first.documents[1]);
    CHECK(first.name.find("temperature 1") != std::string::npos);
    const auto entry = std::filesystem::directory_iterator(kept)->path();
    const auto time = std::filesystem::last_write_time(entry);

    // From the cache, which is not written again.
    CHECK(written(model, "seed: 1").sha256 == first.sha256);
    CHECK(std::filesystem::last_write_time(entry) == time);
    // Made again where the cache is gone or damaged.
    std::filesystem::resize_file(entry, std::filesystem::file_size(entry) / 2);
    CHECK(written(model, "seed: 1").documents == first.documents);
    CHECK(written(model, "seed: 2").documents != first.documents);

    const TextData greedy = written(model, "temperature: 0, prompt: Once upon a time");
    CHECK(greedy.documents[0].starts_with("Once upon a time"));
    CHECK(greedy.documents[0] == greedy.documents[1]);
}

TEST_CASE("a model that is not there writes nothing") {
    CHECK_FALSE(DatasetChoice::parse("{type: generated, model: /no/such/model}").make()->is_available({}));
    CHECK_THROWS_AS(written("/no/such/model", "seed: 1"), Error);
    CHECK_THROWS_AS(DatasetChoice::parse("{type: generated}"), Error);
}
