// The stage cache: the same bits from memory and from disk, damage, other keys, limits, many at once.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/store/cached_features.hpp"
#include "core/store/stage_cache.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

SavedState state_of(std::vector<float> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    return {.words = {{"note", "as it was"}}, .tensors = {{"values", Tensor::from<float>({count}, values)}}};
}

std::vector<std::filesystem::path> entries(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> found;
    for (const auto& each : std::filesystem::directory_iterator(directory))
        if (each.path().extension() == ".safetensors") found.push_back(each.path());
    return found;
}

/// Whether `key` has to be computed.
bool is_computed(StageCache& cache, const nlohmann::json& key, std::vector<float> values = {1, 2}) {
    bool computed = false;
    (void)cache.obtain(key, [&] {
        computed = true;
        return state_of(std::move(values));
    });
    return computed;
}

}  // namespace

TEST_CASE("an entry is computed once and comes back to the same bits") {
    const test::TemporaryDirectory directory;
    const nlohmann::json key{{"what", "values"}, {"block", 3}};
    const std::vector<float> values{1.0F, -0.0F, 1e-40F, std::numeric_limits<float>::quiet_NaN()};
    StageCache cache(directory.path(), 1e6);
    CHECK(is_computed(cache, key, values));
    const auto entry = StageCache(directory.path(), 1e6).obtain(key, [] {
        FAIL("it is there");
        return SavedState{};
    });
    REQUIRE(entry.found);
    CHECK(entry.found->bytes == 16);
    CHECK(entry.state.words.at("note") == "as it was");
    CHECK(std::ranges::equal(entry.state.find("values").bytes(), state_of(values).find("values").bytes()));
    CHECK(is_computed(cache, {{"what", "values"}, {"block", 4}}));
}

TEST_CASE("a cache that keeps nothing computes each time") {
    StageCache cache;
    CHECK_FALSE(cache.is_enabled());
    CHECK_FALSE(cache.has_room_for(0));
    CHECK(is_computed(cache, "key"));
    CHECK(is_computed(cache, "key"));
}

TEST_CASE("damaged, cut and exchanged entries are computed anew") {
    const test::TemporaryDirectory directory;
    StageCache cache(directory.path(), 1e6);
    const std::vector<float> values(100, 1.5F);
    CHECK(is_computed(cache, "key", values));
    const auto path = entries(directory.path()).at(0);
    const std::string good = read_file(path);
    for (std::size_t at = 0; at < good.size(); at += 7) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        write_file(path, bad);
        CHECK(is_computed(cache, "key", values));
    }
    CHECK_FALSE(is_computed(cache, "key"));
    write_file(path, good.substr(0, good.size() / 2));
    CHECK(is_computed(cache, "key", values));
    write_file(path, "");
    CHECK(is_computed(cache, "key", values));
    CHECK(is_computed(cache, "other", values));
    for (const auto& each : entries(directory.path()))
        if (each != path)
            std::filesystem::copy_file(each, path, std::filesystem::copy_options::overwrite_existing);
    CHECK(is_computed(cache, "key", values));
    CHECK_FALSE(is_computed(cache, "key"));
}

TEST_CASE("the entries that nobody has used for longest make room") {
    const test::TemporaryDirectory directory;
    const std::vector<float> values(2500);  // 10 kB
    constexpr double limit = 100e3;
    for (int i = 0; i < 30; ++i) {
        StageCache cache(directory.path(), limit);
        CHECK(is_computed(cache, {"key", i}, values));
        CHECK_FALSE(is_computed(cache, {"key", 0}, values));  // kept by being used
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        double bytes = 0;
        for (const auto& each : entries(directory.path()))
            bytes += static_cast<double>(std::filesystem::file_size(each));
        CHECK(bytes <= limit);
    }
    CHECK(entries(directory.path()).size() > 6);
    StageCache cache(directory.path(), limit);
    CHECK_FALSE(is_computed(cache, {"key", 29}, values));
    CHECK(is_computed(cache, {"key", 1}, values));
    CHECK(is_computed(cache, "large", std::vector<float>(10000)));  // more than a quarter of the limit
    CHECK(is_computed(cache, "large", std::vector<float>(10000)));
    CHECK(cache.has_room_for(limit / 2));
    CHECK_FALSE(cache.has_room_for(limit));
}

TEST_CASE("of many that want the same entry one computes it") {
    const test::TemporaryDirectory directory;
    std::atomic<int> computed = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            StageCache cache(directory.path(), 1e6);  // as another process: it opens files of its own
            for (int i = 0; i < 5; ++i) {
                const auto entry = cache.obtain({"key", i}, [&] {
                    ++computed;
                    std::this_thread::sleep_for(std::chrono::milliseconds(5));
                    return state_of({static_cast<float>(i)});
                });
                if (entry.state.find("values").data<float>()[0] != static_cast<float>(i)) computed = 1000;
            }
        });
    threads.clear();
    CHECK(computed >= 5);
    CHECK(computed <= 8);  // a lock that is removed while somebody opens it lets two through
}

TEST_CASE("a cache that cannot be written to does not stop anything") {
    const test::TemporaryDirectory directory;
    write_file(directory.path() / "file", "");
    CHECK_THROWS_AS(StageCache(directory.path() / "file" / "cache", 1e6), Error);
    StageCache cache(directory.path() / "cache", 1e6);
    std::filesystem::remove_all(cache.directory());
    write_file(cache.directory(), "");
    CHECK(is_computed(cache, "key"));
    CHECK(is_computed(cache, "key"));
}

TEST_CASE("errors of what is computed are passed on, and nothing is kept") {
    const test::TemporaryDirectory directory;
    StageCache cache(directory.path(), 1e6);
    const auto failing = []() -> SavedState { fail("a bad spec"); };
    CHECK_THROWS_AS(cache.obtain("key", failing), Error);
    CHECK(is_computed(cache, "key"));
}

TEST_CASE("features come back in their type, and the stage that is timed is told") {
    const test::TemporaryDirectory directory;
    const Tensor samples = Tensor::from<std::int32_t>({2, 2}, std::vector<std::int32_t>{1, 2, 3, 4});
    const Tensor made = Tensor::zeros({4, 3}, DType::bf16);
    int computed = 0;
    for (int i = 0; i < 3; ++i) {
        StageCache cache(directory.path(), 1e6);
        Stages stages;
        CachedFeatures features(cache, stages, {{"model", i / 2}});
        {
            const Stages::Timer timer(stages, "evaluate");
            const Tensor found = features.features(samples, [&] {
                ++computed;
                return made;
            });
            CHECK(found.dtype() == DType::bf16);
            CHECK(found.shape() == made.shape());
        }
        CHECK(stages.to_json()[0].contains("cached") == (i == 1));
    }
    CHECK(computed == 2);
}
