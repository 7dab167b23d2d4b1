#include "core/base/error.hpp"
#include "core/base/parallel.hpp"

#include <atomic>
#include <vector>

#include <catch2/catch.hpp>

TEST_CASE("parallel_for visits every index once, at any number of threads") {
    for (const int threads : {1, 2, 4}) {
        jlcm::set_thread_count(threads);
        for (const std::int64_t n : {0, 1, 7, 64, 1000}) {
            std::vector<std::atomic<int>> visits(static_cast<std::size_t>(n));
            jlcm::parallel_for(n, 16, [&](std::int64_t begin, std::int64_t end) {
                for (auto i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
            });
            for (const auto& count : visits) REQUIRE(count == 1);
        }
    }
}

TEST_CASE("parallel_sum gives the same bits at any number of threads") {
    auto sum = [](int threads) {
        jlcm::set_thread_count(threads);
        return jlcm::parallel_sum(100000, 1000, [](std::int64_t begin, std::int64_t end) {
            double total = 0;
            for (auto i = begin; i < end; ++i) total += 1.0 / static_cast<double>(i + 1);
            return total;
        });
    };
    const double one = sum(1);
    REQUIRE(one == sum(2));
    REQUIRE(one == sum(4));
}

TEST_CASE("an exception inside parallel work reaches the caller") {
    jlcm::set_thread_count(2);
    REQUIRE_THROWS_AS(jlcm::parallel_for(100, 1,
                                         [](std::int64_t begin, std::int64_t) {
                                             if (begin == 57) jlcm::fail("chunk {}", begin);
                                         }),
                      jlcm::Error);
}

TEST_CASE("loops inside of loops, from several threads, end with all their work done") {
    for (const int threads : {2, 3, 8}) {
        jlcm::set_thread_count(threads);
        for (int round = 0; round < 200; ++round) {
            std::atomic<int> visits = 0;
            jlcm::parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
                jlcm::parallel_for(9, 2, [&](std::int64_t begin, std::int64_t end) {
                    jlcm::parallel_for(
                        3, 1, [&](std::int64_t, std::int64_t) { visits += static_cast<int>(end - begin); });
                });
            });
            REQUIRE(visits == 2 * 9 * 3);
        }
        REQUIRE_THROWS_AS(jlcm::parallel_for(2, 1,
                                             [](std::int64_t, std::int64_t) {
                                                 jlcm::parallel_for(50, 1,
                                                                    [](std::int64_t begin, std::int64_t) {
                                                                        if (begin == 31)
                                                                            jlcm::fail("chunk {}", begin);
                                                                    });
                                             }),
                          jlcm::Error);
    }
    jlcm::set_thread_count(2);
}
