// The estimators' steps against scalar references written from the formulas.

#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/learn/change_cap.hpp"
#include "core/learn/coded_matrix.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/score_step.hpp"
#include "core/plugin/choice.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

constexpr double beta1 = 0.9;
constexpr double beta2 = 0.95;

/// A matrix with a random ascending codebook a row and random codes.
struct Problem {
    CompressedMatrix matrix;
    Tensor target;

    Problem(std::int64_t rows, std::int64_t cols, int bits)
        : matrix(CompressedMatrix::zeros(Layout::per_row(rows, cols, bits))),
          target(random_tensor({rows, cols}, "target", DType::f32)) {
        const int words = matrix.layout.codewords();
        const Tensor values = random_tensor({rows, words}, "codebooks", DType::f32);
        for (std::int64_t r = 0; r < rows; ++r) {
            float* book = matrix.codebooks.data<float>() + r * words;
            std::copy_n(values.data<float>() + r * words, words, book);
            std::sort(book, book + words);
        }
        for (std::int64_t i = 0; i < rows * cols; ++i)
            matrix.mapping.data<std::uint8_t>()[i] = static_cast<std::uint8_t>((i * 13 + i / 7) % words);
    }
    std::vector<int> codes() const {
        const auto codes = matrix.mapping.values<std::uint8_t>();
        return {codes.begin(), codes.end()};
    }
};

/// Drives one matrix with an estimator while its codebooks stay.
struct Mapping {
    Problem& problem;
    Tensor tables = group_tables(problem.matrix);
    GroupMap groups = problem.matrix.layout.group_map();
    std::unique_ptr<MappingLearner> learner;
    JumpHistogram jumps{};

    Mapping(Problem& of, const std::string& estimator)
        : problem(of), learner(Choice<Estimator>::parse(estimator).make()->start(of.matrix, of.target)) {}
    void step(const Tensor& gradient, std::int64_t number, double progress = 0, Tensor curvature = {},
              std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
        jumps = {};
        learner->step(coded_matrix(problem.matrix, tables, groups),
                      {.gradient = gradient,
                       .curvature = std::move(curvature),
                       .number = number,
                       .rate_factor = 1.0,
                       .progress = progress,
                       .most = most},
                      jumps, cpu_backend());
    }
    Tensor state(std::size_t index) const { return learner->state().at(index).tensor; }
};

/// dL/da_k over dL/dw^ for every codeword, in double precision.
std::vector<double> reference_factors(const std::string& rule, const std::vector<double>& c, int m,
                                      const std::vector<double>& scores, double temperature) {
    std::vector<double> f(c.size());
    std::vector<double> p(c.size());
    double mean = 0;
    if (rule == "softmax") {
        const double top = *std::max_element(scores.begin(), scores.end());
        for (std::size_t k = 0; k < c.size(); ++k) p[k] = std::exp((scores[k] - top) / temperature);
        const double total = std::accumulate(p.begin(), p.end(), 0.0);
        for (std::size_t k = 0; k < c.size(); ++k) mean += (p[k] /= total) * c[k];
    }
    for (std::size_t k = 0; k < c.size(); ++k) {
        const double d = c[k] - c[static_cast<std::size_t>(m)];
        const double sign = d > 0 ? 1 : (d < 0 ? -1 : 0);
        if (rule == "naive_ste") f[k] = c[k];
        if (rule == "softmax") f[k] = p[k] * (c[k] - mean) / temperature;
        if (rule == "inverse") f[k] = sign == 0 ? 0 : sign / std::max(std::abs(d), 1e-3);
        if (rule == "exponential") f[k] = sign * std::exp(-std::abs(d) / temperature);
        if (rule == "adjacent") f[k] = std::abs(static_cast<int>(k) - m) == 1 ? sign : 0;
    }
    return f;
}

std::string spec_of(const std::string& rule, const std::string& more) {
    const bool plain = rule == "naive_ste" || rule == "softmax";
    return "{type: " + (plain ? rule : "proximal, form: " + rule) + more + "}";
}

}  // namespace

TEST_CASE("every rule's step is that of a scalar reference, under each kind of second moment") {
    for (const std::string rule : {"naive_ste", "softmax", "inverse", "exponential", "adjacent"}) {
        for (const std::string second : {"weight", "score", "none"}) {
            for (const int bits : {1, 2, 3}) {
                if (rule == "adjacent" && bits > 1) continue;  // its window is 3: below
                INFO(rule << ", " << second << ", " << bits << " bits");
                Problem problem(3, 40, bits);
                Mapping mapping(problem, spec_of(rule, ", rate: 0.2, second_moment: " + second));
                const auto words = static_cast<std::size_t>(problem.matrix.layout.codewords());
                Tensor scores = mapping.state(0);
                const auto started = scores.values<float>();
                std::vector<double> a(started.begin(), started.end());
                std::vector<double> m(a.size());
                std::vector<double> v(a.size());
                double unit = 0;
                for (std::int64_t number = 0; number < 5; ++number) {
                    const Tensor gradient =
                        random_tensor({3, 40}, "g" + std::to_string(number), DType::f32, 1e-3);
                    if (number == 0) unit = std::sqrt(cpu_backend().sum_of_squares(gradient) / 120.0);
                    const std::vector<int> before = problem.codes();
                    mapping.step(gradient, number, 0.5);
                    // softmax: geometric from 0.5 to 0.05; exponential: its decay.
                    const double temperature = rule == "softmax" ? 0.5 * std::sqrt(0.1) : 1.0;
                    const double correction1 = 1 / (1 - std::pow(beta1, static_cast<double>(number + 1)));
                    const double correction2 = 1 / (1 - std::pow(beta2, static_cast<double>(number + 1)));
                    std::vector<std::int64_t> jumps(words - 1);
                    for (std::size_t i = 0; i < 120; ++i) {
                        const float* book = mapping.tables.data<float>() + i / 40 * words;
                        const double gap =
                            static_cast<double>(book[words - 1] - book[0]) / static_cast<double>(words - 1);
                        std::vector<double> c(words);
                        for (std::size_t k = 0; k < words; ++k) c[k] = static_cast<double>(book[k]) / gap;
                        double* ai = a.data() + i * words;
                        const auto f = reference_factors(rule, c, before[i], {ai, ai + words}, temperature);
                        const auto g = static_cast<double>(gradient.data<float>()[i]);
                        double largest = 0;
                        for (std::size_t k = 0; k < words; ++k)
                            largest =
                                std::max(largest, std::abs(f[k] - f[static_cast<std::size_t>(before[i])]));
                        for (std::size_t k = 0; k < words; ++k) {
                            const std::size_t j = i * words + k;
                            const double sample = second == "weight" ? g * largest : g * f[k];
                            m[j] = beta1 * m[j] + (1 - beta1) * g * f[k];
                            v[j] = beta2 * v[j] + (1 - beta2) * sample * sample;
                            const double root =
                                second == "none" ? unit : std::sqrt(v[j] * correction2) + 1e-15;
                            a[j] -= 0.2 * m[j] * correction1 / root;
                            REQUIRE(scores.data<float>()[j] == Approx(a[j]).margin(2e-4));
                            a[j] = static_cast<double>(scores.data<float>()[j]);  // ties are decided on these
                        }
                        std::size_t best = static_cast<std::size_t>(before[i]);
                        for (std::size_t away = 1; away < words; ++away) {
                            const std::size_t here = static_cast<std::size_t>(before[i]);
                            if (here >= away && ai[here - away] > ai[best]) best = here - away;
                            if (here + away < words && ai[here + away] > ai[best]) best = here + away;
                        }
                        REQUIRE(problem.codes()[i] == static_cast<int>(best));
                        if (const auto jump = std::abs(static_cast<int>(best) - before[i]); jump > 0)
                            ++jumps[static_cast<std::size_t>(jump - 1)];
                    }
                    REQUIRE(mapping.jumps.jumps == jumps);
                }
            }
        }
    }
}

TEST_CASE("under the inverse rule a candidate gains less the farther it is") {
    Problem problem(1, 1, 3);
    for (int k = 0; k < 8; ++k) problem.matrix.codebooks.data<float>()[k] = static_cast<float>(k * k);
    problem.matrix.mapping.data<std::uint8_t>()[0] = 2;
    Mapping mapping(problem, "{type: proximal, rate: 0.1, start: even}");
    const Tensor scores = mapping.state(0);
    const auto before = scores.clone();
    mapping.step(Tensor::from<float>({1, 1}, std::vector<float>{-1.0F}), 0);
    std::vector<float> gain;
    for (int k = 3; k < 8; ++k) gain.push_back(scores.data<float>()[k] - before.data<float>()[k]);
    REQUIRE(std::is_sorted(gain.rbegin(), gain.rend()));
    REQUIRE(gain.front() > gain.back());
    REQUIRE(gain.back() > 0);
    REQUIRE(scores.data<float>()[2] == before.data<float>()[2]);
    REQUIRE(scores.data<float>()[1] < before.data<float>()[1]);
}

TEST_CASE("adjacent only makes jumps of one, for any number of codewords and any step") {
    for (const int bits : {1, 2, 3, 8}) {
        Problem problem(4, 64, bits);
        Mapping mapping(problem, "{type: proximal, form: adjacent, rate: 1.0}");
        std::int64_t moved = 0;
        for (std::int64_t number = 0; number < 30; ++number) {
            const std::vector<int> before = problem.codes();
            mapping.step(random_tensor({4, 64}, "g" + std::to_string(number), DType::f32), number);
            const std::vector<int> after = problem.codes();
            for (std::size_t i = 0; i < after.size(); ++i) REQUIRE(std::abs(after[i] - before[i]) <= 1);
            REQUIRE(std::accumulate(mapping.jumps.jumps.begin() + 1, mapping.jumps.jumps.end(),
                                    std::int64_t{0}) == 0);
            moved += mapping.jumps.moved();
        }
        REQUIRE(moved > 0);
    }
}

TEST_CASE("a window follows its weight: a steady push reaches the end of a large codebook") {
    for (const std::string estimator :
         {"{type: naive_ste, rate: 0.5}", "{type: proximal, rate: 0.5, window: 3}",
          "{type: proximal, form: adjacent, rate: 0.5, second_moment: score}",
          "{type: proximal, form: exponential, rate: 0.5, second_moment: none}"}) {
        Problem problem(1, 2, 6);
        for (int k = 0; k < 64; ++k) problem.matrix.codebooks.data<float>()[k] = static_cast<float>(k);
        problem.matrix.mapping.data<std::uint8_t>()[0] = 30;
        problem.matrix.mapping.data<std::uint8_t>()[1] = 30;
        Mapping mapping(problem, estimator);
        for (std::int64_t number = 0; number < 1500; ++number)
            mapping.step(Tensor::from<float>({1, 2}, std::vector<float>{-1.0F, 1.0F}), number);
        INFO(estimator);
        REQUIRE(problem.codes() == std::vector<int>{63, 0});
    }
}

TEST_CASE("a zero gradient and codewords that are all equal move nothing") {
    for (const std::string estimator :
         {"naive_ste", "softmax", "proximal", "{type: proximal, form: adjacent}", "nearest", "curvature"}) {
        for (const bool equal : {false, true}) {
            for (const int bits : {1, 2, 8}) {
                Problem problem(2, 9, bits);
                if (equal)
                    std::fill_n(problem.matrix.codebooks.data<float>(), problem.matrix.codebooks.size(),
                                0.5F);
                const std::vector<int> before = problem.codes();
                Mapping mapping(problem, estimator);
                for (std::int64_t number = 0; number < 3; ++number) {
                    const Tensor gradient =
                        equal ? random_tensor({2, 9}, "g", DType::f32) : Tensor::zeros({2, 9});
                    mapping.step(gradient, number, 0, Tensor::zeros({2, 9}));
                }
                INFO(estimator << ", " << bits << " bits, equal " << equal);
                if (!equal || estimator.find("nearest") == std::string::npos)
                    REQUIRE((equal && estimator == "curvature" ? before : problem.codes()) == before);
                for (const NamedTensor& entry : mapping.learner->state())
                    for (const float value : entry.tensor.values<float>()) REQUIRE(std::isfinite(value));
            }
        }
    }
}

TEST_CASE("the curvature step goes towards the codeword of least quadratic cost, within its trust region") {
    for (const bool by_column : {false, true}) {
        Problem problem(3, 600, 2);
        Mapping mapping(problem, "{type: curvature, trust: 0.3, damping: 0.1, momentum: 0.5}");
        const Tensor latent = mapping.state(0);
        std::vector<double> mean(1800);
        for (std::int64_t number = 0; number < 4; ++number) {
            const Tensor gradient = random_tensor({3, 600}, "g" + std::to_string(number), DType::f32);
            Tensor curvature = random_tensor({by_column ? 1 : 3, 600}, "h", DType::f32);
            for (std::int64_t i = 0; i < curvature.size(); ++i)
                curvature.data<float>()[i] *= curvature.data<float>()[i];
            const Tensor before = latent.clone();
            const std::vector<int> codes = problem.codes();
            mapping.step(gradient, number, 0, curvature);
            for (std::int64_t i = 0; i < 1800; ++i) {
                const float* row_curvature = curvature.data<float>() + (by_column ? 0 : i / 600 * 600);
                const double floor = 0.1 * std::accumulate(row_curvature, row_curvature + 600, 0.0) / 600;
                const double h = static_cast<double>(row_curvature[i % 600]) + floor;
                auto& g = mean[static_cast<std::size_t>(i)];
                g = 0.5 * g + 0.5 * static_cast<double>(gradient.data<float>()[i]);
                const double unbiased = g / (1 - std::pow(0.5, static_cast<double>(number + 1)));
                const float* c = mapping.tables.data<float>() + i / 600 * 4;
                const int present = codes[static_cast<std::size_t>(i)];
                const auto cost = [&](int k) {
                    const double d = static_cast<double>(c[k]) - static_cast<double>(c[present]);
                    return unbiased * d + 0.5 * h * d * d;
                };
                int best = 0;
                for (int k = 1; k < 4; ++k)
                    if (cost(k) < cost(best)) best = k;
                const double trust = 0.3 * static_cast<double>(c[3] - c[0]) / 3;
                const auto u = static_cast<double>(before.data<float>()[i]);
                const double way = std::clamp(static_cast<double>(c[best]) - u, -trust, trust);
                REQUIRE(latent.data<float>()[i] == Approx(u + way).margin(1e-4));
                int nearest = 0;
                for (int k = 1; k < 4; ++k)
                    if (std::abs(c[k] - latent.data<float>()[i]) <
                        std::abs(c[nearest] - latent.data<float>()[i]))
                        nearest = k;
                REQUIRE(problem.codes()[static_cast<std::size_t>(i)] == nearest);
            }
        }
    }
}

TEST_CASE("scores follow their codewords through a sort, in and out of windows") {
    for (const std::string estimator :
         {"{type: proximal, window: 5, second_moment: score}", "{type: gumbel, window: 5, rate: 0.1}"}) {
        INFO(estimator);
        const bool keeps_windows = estimator.find("gumbel") != std::string::npos;
        Problem problem(2, 50, 4);
        Mapping mapping(problem, estimator);
        for (std::int64_t number = 0; number < 3; ++number)
            mapping.step(random_tensor({2, 50}, "g" + std::to_string(number), DType::f32), number);
        // Two neighbours and two far codewords change places.
        float* book = problem.matrix.codebooks.data<float>();
        std::swap(book[3], book[4]);
        std::swap(book[0], book[15]);
        const auto begins = [&] {
            std::vector<int> result = problem.codes();
            for (int& each : result) each = score_window_begin(each, 16, 5);
            if (keeps_windows) std::ranges::copy(mapping.state(0).values<std::uint8_t>(), result.begin());
            return result;
        };
        const std::vector<int> codes = problem.codes();
        const std::vector<int> old_begins = begins();
        const Tensor scores = mapping.state(keeps_windows ? 1 : 0);
        const Tensor before = scores.clone();
        const Tensor former = sort_codewords(problem.matrix);
        REQUIRE(former.defined());
        mapping.learner->relabel(problem.matrix, mapping.groups, former);
        int newcomers = 0;
        for (std::size_t i = 0; i < 100; ++i) {
            const std::uint8_t* label = former.data<std::uint8_t>() + i / 50 * 16;
            const int code = problem.codes()[i];
            const int begin = begins()[i];
            REQUIRE(label[code] == codes[i]);
            REQUIRE((begin <= code && code < begin + 5));
            const auto old_score = [&](int position) {
                return before.data<float>()[i * 5 + static_cast<std::size_t>(position)];
            };
            const float top = old_score(codes[i] - old_begins[i]);
            for (int k = 0; k < 5; ++k) {
                const int position = label[begin + k] - old_begins[i];
                const bool is_new = position < 0 || position >= 5;
                newcomers += is_new ? 1 : 0;
                const float expected = is_new ? top - 0.5F * static_cast<float>(std::abs(begin + k - code))
                                              : old_score(position);
                REQUIRE(scores.data<float>()[i * 5 + static_cast<std::size_t>(k)] == expected);
            }
        }
        CHECK(newcomers > 0);
    }
}

TEST_CASE(
    "weights that are pushed the same way change in one step, or one after the other where margins differ") {
    constexpr std::int64_t count = 2000;
    for (const std::string type :
         {"nearest, rate: 0.02", "proximal, form: adjacent", "proximal, form: inverse"}) {
        for (const double spread : {0.0, 0.2}) {
            INFO(type << ", " << spread);
            Problem problem(1, count, 2);
            for (int k = 0; k < 4; ++k) problem.matrix.codebooks.data<float>()[k] = static_cast<float>(k);
            std::fill_n(problem.matrix.mapping.data<std::uint8_t>(), count, std::uint8_t{1});
            // Nearer to the codeword 2: the solver's mapping is not the nearest.
            std::fill_n(problem.target.data<float>(), count, 1.7F);
            Mapping mapping(problem,
                            fmt::format("{{type: {}, margin: 0.07, margin_spread: {}}}", type, spread));
            Tensor gradient = Tensor::empty({1, count});
            std::fill_n(gradient.data<float>(), count, -1.0F);
            std::int64_t most = 0;
            std::int64_t all = 0;
            for (int step = 0; step < 15; ++step) {
                mapping.step(gradient, step);
                if (step < 3) CHECK(mapping.jumps.moved() == 0);
                most = std::max(most, mapping.jumps.moved());
                all += mapping.jumps.moved();
            }
            CHECK(all == count);
            if (spread == 0) CHECK(most == count);
            if (spread > 0) CHECK(most < count / 6);
        }
    }
}

TEST_CASE("the gradient of a Gumbel mixture's scores is that of its soft weights, by finite differences") {
    for (const int bits : {1, 2, 3}) {
        Problem problem(2, 30, bits);
        Mapping mapping(problem, "{type: gumbel, scale: 5, rate: 0.1}");
        const CodedMatrix coded = coded_matrix(problem.matrix, mapping.tables, mapping.groups);
        const Tensor gradient = random_tensor({2, 30}, "g", DType::f32);
        const auto loss = [&] {
            return cpu_backend().dot(mapping.learner->soft_weights(coded, cpu_backend()), gradient);
        };
        Tensor scores = mapping.state(1);
        std::vector<double> expected;
        for (float& score : scores.values<float>()) {
            const float kept = score;
            score = kept + 0.01F;
            const double up = loss();
            score = kept - 0.01F;
            expected.push_back((up - loss()) / 0.02);
            score = kept;
        }
        mapping.step(gradient, 0);
        const Tensor moment = mapping.state(2);
        for (std::size_t i = 0; i < expected.size(); ++i)
            REQUIRE(10 * static_cast<double>(moment.values<float>()[i]) ==
                    Approx(expected[i]).epsilon(0.01).margin(2e-3));
    }
}

TEST_CASE(
    "a cold Gumbel mixture draws a candidate as often as the softmax of the logits says, anew in each step") {
    constexpr std::int64_t count = 4000;
    Problem problem(1, count, 2);
    for (int k = 0; k < 4; ++k) problem.matrix.codebooks.data<float>()[k] = static_cast<float>(k);
    Mapping mapping(problem,
                    "{type: gumbel, scale: 10, rate: 0, temperature: 0.001, final_temperature: 0.001}");
    const std::vector<double> logits{0, -1, 0.5, -2};
    Tensor scores = mapping.state(1);
    for (std::int64_t i = 0; i < scores.size(); ++i)
        scores.data<float>()[i] = static_cast<float>(logits[static_cast<std::size_t>(i % 4)] / 10);
    double total = 0;
    for (const double logit : logits) total += std::exp(logit);
    std::vector<std::vector<int>> drawn;
    for (std::int64_t number = 0; number < 2; ++number) {
        const Tensor soft = mapping.learner->soft_weights(
            coded_matrix(problem.matrix, mapping.tables, mapping.groups), cpu_backend());
        std::vector<int> counts(4);
        auto& draws = drawn.emplace_back();
        for (const float w : soft.values<float>()) {
            draws.push_back(static_cast<int>(std::lround(w)));
            ++counts[static_cast<std::size_t>(draws.back())];
        }
        for (std::size_t k = 0; k < 4; ++k) {
            const double share = std::exp(logits[k]) / total;
            const double deviation = std::sqrt(share * (1 - share) * count);
            CHECK(std::abs(counts[k] - share * count) < 4 * deviation);
        }
        mapping.step(Tensor::zeros({1, count}), number);
        CHECK(problem.codes() == std::vector<int>(count, 2));  // the best without noise is what is stored
    }
    CHECK(drawn[0] != drawn[1]);
}

TEST_CASE("Gumbel noise is finite where its uniform is nearest to 1") {
    // The candidate's number among all draws, where the 24 lowest bits are all set: with one more half they
    // would round to 1 in float32.
    constexpr std::uint64_t place = 5529940;
    REQUIRE((Rng(0, "gumbel").bits(place / 2) & 0xFFFFFFU) == 0xFFFFFFU);
    Problem problem(1, 1, 1);
    Mapping mapping(problem, "gumbel");
    mapping.state(4).data<float>()[0] = static_cast<float>(place / 2);  // a draw of two candidates a step
    const Tensor soft = mapping.learner->soft_weights(
        coded_matrix(problem.matrix, mapping.tables, mapping.groups), cpu_backend());
    CHECK(std::isfinite(soft.data<float>()[0]));
}

TEST_CASE("the largest values are kept, of equal ones the first") {
    const auto kept = [](std::vector<float> values, std::int64_t most) {
        keep_largest(values, most);
        return values;
    };
    CHECK(kept({}, 3).empty());
    CHECK(kept({2}, 1) == std::vector<float>{2});
    CHECK(kept({2}, 0) == std::vector<float>{0});
    CHECK(kept({0, 3, 0, 1, 2}, 2) == std::vector<float>{0, 3, 0, 0, 2});
    CHECK(kept({0, 3, 0, 1, 2}, 3) == std::vector<float>{0, 3, 0, 1, 2});
    CHECK(kept({1, 1, 5, 1}, 3) == std::vector<float>{1, 1, 5, 0});
    CHECK(kept({1, 1, 5, 1}, 0) == std::vector<float>{0, 0, 0, 0});
}

TEST_CASE("a cap lets those codes change that want it most, under every estimator") {
    for (const std::string estimator :
         {"{type: nearest, rate: 0.3}", "{type: curvature, trust: 0.3}", "{type: naive_ste, rate: 0.3}",
          "{type: softmax, rate: 0.3}", "{type: proximal, rate: 0.3}",
          "{type: proximal, form: exponential, rate: 0.3}"}) {
        INFO(estimator);
        const bool has_latent = estimator.find("nearest") != std::string::npos ||
                                estimator.find("curvature") != std::string::npos;
        Problem problem(3, 200, 2);
        Mapping mapping(problem, estimator);
        std::int64_t capped_steps = 0;
        for (std::int64_t number = 0; number < 12; ++number) {
            constexpr std::int64_t most = 7;
            const std::vector<int> before = problem.codes();
            Tensor curvature = Tensor::empty({3, 200});
            std::fill_n(curvature.data<float>(), curvature.size(), 0.5F);
            mapping.step(random_tensor({3, 200}, "g" + std::to_string(number), DType::f32), number, 0,
                         curvature, most);
            const std::vector<int> after = problem.codes();
            // How much each weight wants another code, and which, from the state.
            std::vector<double> wish(600);
            std::vector<int> wanted = before;
            const float* position = mapping.learner->position().data<float>();
            for (std::size_t i = 0; i < 600; ++i) {
                const float* c = mapping.tables.data<float>() + i / 200 * 4;
                const auto m = static_cast<std::size_t>(before[i]);
                const auto value = [&](std::size_t k) {
                    return has_latent
                               ? -std::abs(static_cast<double>(c[k]) - static_cast<double>(position[i]))
                               : static_cast<double>(position[i * 4 + k]);
                };
                for (std::size_t k = 0; k < 4; ++k)
                    if (value(k) > value(static_cast<std::size_t>(wanted[i])))
                        wanted[i] = static_cast<int>(k);
                const auto w = static_cast<std::size_t>(wanted[i]);
                wish[i] = value(w) - value(m);
                if (!has_latent || w == m) continue;
                const double gap = static_cast<double>(c[3] - c[0]) / 3;
                const double border = 0.5 * static_cast<double>(c[m] + c[w > m ? m + 1 : m - 1]);
                wish[i] = std::abs(static_cast<double>(position[i]) - border) / gap;
            }
            std::int64_t wishes = 0;
            std::int64_t changes = 0;
            double least_granted = 1e30;
            double largest_refused = 0;
            for (std::size_t i = 0; i < 600; ++i) {
                wishes += wanted[i] != before[i] ? 1 : 0;
                if (after[i] != before[i]) {
                    REQUIRE(after[i] == wanted[i]);
                    ++changes;
                    least_granted = std::min(least_granted, wish[i]);
                } else {
                    largest_refused = std::max(largest_refused, wish[i]);
                }
            }
            REQUIRE(changes == std::min(wishes, most));
            REQUIRE(mapping.jumps.moved() == changes);
            if (wishes > most) REQUIRE(least_granted >= largest_refused - 1e-6);
            capped_steps += wishes > most ? 1 : 0;
        }
        REQUIRE(capped_steps > 3);
    }
}

TEST_CASE("a cap that nothing meets changes no bit, windows that move among them") {
    for (const std::string estimator :
         {"{type: nearest, rate: 0.3}", "{type: curvature, trust: 0.3}",
          "{type: naive_ste, rate: 0.5, window: 5}", "{type: proximal, rate: 0.5, window: 3}",
          "{type: proximal, form: adjacent, rate: 0.5, second_moment: score}",
          "{type: softmax, rate: 0.5, second_moment: none}"}) {
        INFO(estimator);
        Problem free(3, 50, 6);
        Problem capped(3, 50, 6);
        Mapping one(free, estimator);
        Mapping two(capped, estimator);
        std::int64_t moved = 0;
        for (std::int64_t number = 0; number < 20; ++number) {
            const Tensor gradient = random_tensor({3, 50}, "g" + std::to_string(number), DType::f32);
            const Tensor curvature = Tensor::zeros({3, 50});
            one.step(gradient, number, 0.5, curvature);
            two.step(gradient, number, 0.5, curvature, 149);
            moved += one.jumps.moved();
            REQUIRE(free.codes() == capped.codes());
            REQUIRE(std::ranges::equal(one.jumps.jumps, two.jumps.jumps));
        }
        REQUIRE(moved > 0);
        const auto states = one.learner->state();
        for (std::size_t i = 0; i < states.size(); ++i)
            REQUIRE(std::ranges::equal(states[i].tensor.bytes(), two.state(i).bytes()));
    }
}

TEST_CASE("a matrix gathers the mean gradient of several steps for one of its mapping") {
    Problem problem(3, 40, 2);
    const auto estimator = Choice<Estimator>::parse("{type: nearest, rate: 0.2}").make();
    LearnedMatrix gathering("w", problem.matrix, problem.target, estimator.get(), cpu_backend(), 3);
    Mapping reference(problem, "{type: nearest, rate: 0.2}");
    JumpHistogram jumps;
    for (std::int64_t number = 0; number < 4; ++number) {
        Tensor mean = Tensor::zeros({3, 40});
        for (std::int64_t i = 0; i < 3; ++i) {
            // Two parts a step; no rate, so that codewords stay.
            for (const char* part : {"a", "b"}) {
                const Tensor gradient =
                    random_tensor({3, 40}, part + std::to_string(number * 3 + i), DType::f32);
                cpu_backend().add_scaled(mean, gradient, 1.0 / 3);
                gathering.observe(gradient.clone(), i);
            }
            MatrixStep step{.number = number * 3 + i, .rates = {}, .mapping = {}};
            if (i == 2) step.mapping = {.number = number};
            gathering.step(step, Tensor(), jumps);
        }
        reference.step(mean, number);
        const Tensor position = gathering.position();
        for (std::int64_t i = 0; i < position.size(); ++i)
            REQUIRE(position.data<float>()[i] == Approx(reference.state(0).data<float>()[i]).margin(1e-5));
    }
    REQUIRE(jumps.weights == 12 * 120);
    REQUIRE(jumps.moved() > 0);
}

TEST_CASE("a gradient that is not finite ends learning, with the name of the matrix") {
    Problem problem(2, 8, 2);
    const auto estimator = Choice<Estimator>::parse("proximal").make();
    LearnedMatrix learned("mlp.up", problem.matrix, problem.target, estimator.get(), cpu_backend());
    Tensor gradient = Tensor::zeros({2, 8});
    gradient.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
    REQUIRE_THROWS_WITH(learned.observe(gradient, 0), Catch::Contains("the gradient of mlp.up is nan"));
}

TEST_CASE("memory a weight is stated, and bounded by the window") {
    const auto bytes = [](const std::string& estimator, int bits) {
        return Choice<Estimator>::parse(estimator).make()->bytes_per_weight({.bits = bits});
    };
    REQUIRE(bytes("frozen", 2) == 0);
    REQUIRE(bytes("nearest", 8) == 12);
    REQUIRE(bytes("curvature", 8) == 12);
    REQUIRE(bytes("naive_ste", 2) == 36);
    REQUIRE(bytes("naive_ste", 8) == 76);
    REQUIRE(bytes("{type: naive_ste, second_moment: score}", 8) == 108);
    REQUIRE(bytes("{type: softmax, second_moment: none, window: 256}", 8) == 2048);
    REQUIRE(bytes("{type: proximal, form: adjacent}", 8) == 28);
    Problem problem(3, 8, 8);
    for (const std::string estimator : {"naive_ste", "{type: proximal, form: adjacent}", "nearest"}) {
        const Mapping mapping(problem, estimator);
        double held = 0;
        for (const NamedTensor& entry : mapping.learner->state())
            if (entry.tensor.size() > 1) held += static_cast<double>(entry.tensor.byte_count());
        REQUIRE(held / 24 == bytes(estimator, 8));
    }
}
