// Learning of codewords that are vectors, in one stage or several, against brute force and finite differences.

#include "core/base/parallel.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/vector_cells.hpp"
#include "tests/unit/learn/learning_fixtures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

using namespace jlcm;
using namespace jlcm::test;

namespace {

/// A matrix with random codebooks, scales and codes.
struct Problem {
    CompressedMatrix matrix;
    Tensor target;

    Problem(std::int64_t rows, std::int64_t cols, CodeShape codes, bool scales = true) {
        Layout layout =
            scales ? Layout::per_row(rows, cols, codes.bits) : Layout::per_tensor(rows, cols, codes.bits);
        layout.shared_codebook = scales;
        layout.dimension = codes.dimension;
        layout.residual = codes.stages;
        matrix = CompressedMatrix::zeros(layout);
        const Tensor values = random_tensor(matrix.codebooks.shape(), "codebooks", DType::f32);
        std::ranges::copy(values.bytes(), matrix.codebooks.bytes().begin());
        for (std::int64_t i = 0; i < matrix.mapping.size(); ++i)
            matrix.mapping.data<std::uint8_t>()[i] =
                static_cast<std::uint8_t>((i * 13 + i / 7) % layout.codewords());
        if (scales) {
            matrix.scales = Tensor::empty({rows});
            for (std::int64_t r = 0; r < rows; ++r)
                matrix.scales.data<float>()[r] = 0.5F + 0.25F * static_cast<float>(r);
        }
        if (codes.dimension == 1) (void)sort_codewords(matrix);
        target = random_tensor({rows, cols}, "target", DType::f32);
    }

    [[nodiscard]] std::int64_t places() const { return matrix.layout.rows * matrix.layout.codes_per_row(); }
    [[nodiscard]] int code(int stage, std::int64_t place) const {
        return matrix.mapping.data<std::uint8_t>()[stage * places() + place];
    }
    [[nodiscard]] double codeword(int stage, int code, int e) const {
        return static_cast<double>(matrix.codebook(0, stage)[code * matrix.layout.dimension + e]);
    }
    [[nodiscard]] double distance(int stage, int a, int b) const {
        double sum = 0;
        for (int e = 0; e < matrix.layout.dimension; ++e)
            sum += std::pow(codeword(stage, a, e) - codeword(stage, b, e), 2);
        return std::sqrt(sum);
    }
    /// What a vector is without the codewords of the other stages.
    [[nodiscard]] std::vector<double> rest(const float* vector, const std::vector<int>& codes,
                                           int stage) const {
        std::vector<double> rest(vector, vector + matrix.layout.dimension);
        for (int other = 0; other < matrix.layout.residual; ++other)
            for (std::size_t e = 0; other != stage && e < rest.size(); ++e)
                rest[e] -= codeword(other, codes[static_cast<std::size_t>(other)], static_cast<int>(e));
        return rest;
    }
    [[nodiscard]] double squared(const std::vector<double>& vector, int stage, int code) const {
        double sum = 0;
        for (std::size_t e = 0; e < vector.size(); ++e)
            sum += std::pow(vector[e] - codeword(stage, code, static_cast<int>(e)), 2);
        return sum;
    }
    [[nodiscard]] std::vector<int> codes(std::int64_t place) const {
        std::vector<int> codes;
        for (int stage = 0; stage < matrix.layout.residual; ++stage) codes.push_back(code(stage, place));
        return codes;
    }
};

const std::vector<CodeShape> shapes{{1, 2, 1}, {4, 2, 1}, {8, 4, 1}, {3, 3, 1},
                                    {5, 8, 1}, {4, 4, 2}, {3, 2, 3}, {4, 1, 2}};

MappingStep step_of(const Tensor& gradient, std::int64_t number,
                    std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
    MappingStep step;
    step.gradient = gradient;
    step.number = number;
    step.most = most;
    return step;
}

/// Vectors in two stages, or four weights a codeword, from k-means.
void compress_to(CompressedModel& model, const std::string& grouping, int bits) {
    for (ParameterId id = 0; id < static_cast<ParameterId>(model.graph().parameters().size()); ++id) {
        if (!model.graph().parameter(id).linear) continue;
        const LayerProblem problem{model.graph().parameter(id).name, model.base().weight(id), {}, 0};
        const auto rows = Choice<Grouping>::parse(grouping).make()->group(problem, bits);
        model.matrices().emplace(
            id,
            Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make()->initialise(problem, rows));
    }
}
void compress_vectors(CompressedModel& model) {
    compress_to(model, "{type: vectors, dimension: 2}", 4);
}
void compress_stages(CompressedModel& model) {
    compress_to(model, "{type: vectors, dimension: 4, stages: 2}", 3);
}

}  // namespace

TEST_CASE("latents fall into the cells of the nearest codewords, stage by stage, by brute force") {
    for (const CodeShape& shape : shapes) {
        INFO(shape.bits << " bits, dimension " << shape.dimension << ", stages " << shape.stages);
        const Problem problem(3, 240, shape);
        const Tensor latent = random_tensor({3, 240}, "latent", DType::f32);
        const Tensor found = codes_of_cells(problem.matrix, latent);
        for (std::int64_t place = 0; place < problem.places(); ++place) {
            auto codes = problem.codes(place);
            for (int stage = 0; stage < shape.stages; ++stage) {
                const auto rest = problem.rest(latent.data<float>() + place * shape.dimension, codes, stage);
                int& best = codes[static_cast<std::size_t>(stage)];
                best = 0;
                for (int k = 1; k < 1 << shape.bits; ++k)
                    if (problem.squared(rest, stage, k) < problem.squared(rest, stage, best)) best = k;
                REQUIRE(int{found.data<std::uint8_t>()[stage * problem.places() + place]} == best);
            }
        }
    }
}

TEST_CASE("latents start as near to the weights as their cells and margins let them") {
    StartMargin margin;
    margin.least = 0.1;
    for (const double spread : {0.0, 0.2}) {
        margin.spread = spread;
        for (const CodeShape& shape : shapes) {
            INFO(shape.bits << " bits, dimension " << shape.dimension << ", stages " << shape.stages);
            Problem problem(3, 240, shape);
            // A few of the weights lie in the cells of their codes.
            if (spread > 0) {
                const Tensor nearest = codes_of_cells(problem.matrix, problem.target);
                std::ranges::copy(nearest.bytes(), problem.matrix.mapping.bytes().begin());
            }
            const Tensor latent = latent_vectors_in_cells(problem.matrix, problem.target, margin);
            const Tensor codes = codes_of_cells(problem.matrix, latent);
            REQUIRE(std::ranges::equal(codes.bytes(), problem.matrix.mapping.bytes()));
            const auto spacing = static_cast<double>(latent_spacing(problem.matrix));
            int held = 0;
            int free = 0;
            for (std::int64_t place = 0; place < problem.places(); ++place) {
                const float* own = latent.data<float>() + place * shape.dimension;
                const float* weights = problem.target.data<float>() + place * shape.dimension;
                const auto scale =
                    static_cast<double>(problem.matrix.scale(place / problem.matrix.layout.codes_per_row()));
                double left = 0;  // of the way to the weights
                for (int e = 0; e < shape.dimension; ++e)
                    left = std::max(left, std::abs(static_cast<double>(weights[e]) / scale -
                                                   static_cast<double>(own[e])));
                // The least that any border is farther away than the margin, if it lies on the way.
                double slack = 1e30;
                for (int stage = 0; stage < shape.stages; ++stage) {
                    const int code = problem.code(stage, place);
                    const auto rest = problem.rest(own, problem.codes(place), stage);
                    for (int k = 0; k < 1 << shape.bits; ++k) {
                        if (k == code) continue;
                        double along = 0;
                        double towards = 0;
                        for (int e = 0; e < shape.dimension; ++e) {
                            const double unit =
                                (problem.codeword(stage, k, e) - problem.codeword(stage, code, e)) /
                                problem.distance(stage, code, k);
                            along +=
                                unit * (rest[static_cast<std::size_t>(e)] - problem.codeword(stage, code, e));
                            towards += unit * (static_cast<double>(weights[e]) / scale -
                                               static_cast<double>(own[e]));
                        }
                        const double room =
                            std::max(0.0, 0.5 * problem.distance(stage, code, k) -
                                              static_cast<double>(margin.of(place)) * spacing);
                        if (along > 0) REQUIRE(along < room + 1e-4);
                        if (towards > 1e-5) slack = std::min(slack, room - along);
                    }
                }
                if (left > 1e-4) REQUIRE(slack < 1e-3);
                ++(left > 1e-4 ? held : free);
            }
            CHECK(held > 0);
            if (spread > 0 && shape.stages == 1) CHECK(free > 0);
        }
    }
}

TEST_CASE("latent vectors of one weight are the latents of numbers") {
    CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_tensor(3, 200, 3));
    for (int k = 0; k < 8; ++k) matrix.codebooks.data<float>()[k] = -1.75F + 0.5F * static_cast<float>(k);
    for (std::int64_t i = 0; i < 600; ++i)
        matrix.mapping.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 5 % 7);
    const Tensor target = random_tensor({3, 200}, "target", DType::f32);
    const Tensor numbers = latent_in_cells(matrix, target, {});
    const Tensor vectors = latent_vectors_in_cells(matrix, target, {});
    for (std::int64_t i = 0; i < 600; ++i)
        REQUIRE(vectors.data<float>()[i] == Approx(numbers.data<float>()[i]).margin(1e-5));
}

TEST_CASE("a matrix of vectors gives the gradients of its codebooks and scales, by finite differences") {
    for (const CodeShape& shape : shapes) {
        for (const bool scales : {true, false}) {
            INFO(shape.bits << " bits, dimension " << shape.dimension << ", stages " << shape.stages);
            Problem problem(4, 48, shape, scales);
            const Tensor weights = random_tensor({4, 48}, "weights", DType::f32);
            const auto loss = [&] {
                const Tensor decoded = decode(problem.matrix);
                double sum = 0;
                for (std::int64_t i = 0; i < decoded.size(); ++i)
                    sum += 0.5 * static_cast<double>(weights.data<float>()[i]) *
                           std::pow(static_cast<double>(decoded.data<float>()[i]), 2);
                return sum;
            };
            const auto learned = make_learned_codes("w", problem.matrix.clone(), {}, nullptr, cpu_backend());
            Tensor gradient = learned->weight(DType::f32);
            const Tensor decoded = decode(problem.matrix);
            for (std::int64_t i = 0; i < gradient.size(); ++i) {
                REQUIRE(gradient.data<float>()[i] == Approx(decoded.data<float>()[i]).margin(1e-6));
                gradient.data<float>()[i] *= weights.data<float>()[i];
            }
            learned->observe(gradient);
            learned->observe(gradient);  // two parts of a step
            const CodebookGradients found = learned->take_gradients();
            const auto check = [&](Tensor variable, const Tensor& slopes) {
                for (std::int64_t i = 0; i < variable.size(); ++i) {
                    float& x = variable.data<float>()[i];
                    const float kept = x;
                    x = kept + 1e-2F;
                    const double up = loss();
                    x = kept - 1e-2F;
                    const double down = loss();
                    x = kept;
                    REQUIRE(static_cast<double>(slopes.data<float>()[i]) ==
                            Approx(2 * (up - down) / 2e-2).epsilon(5e-3).margin(2e-3));
                }
            };
            check(problem.matrix.codebooks, found.codebooks);
            if (scales) check(problem.matrix.scales, found.scales);
            CHECK(found.scales.defined() == scales);
        }
    }
}

TEST_CASE("a step of nearest moves latent vectors by Adam, and codes to the cells they lie in") {
    for (const CodeShape& shape : shapes) {
        INFO(shape.bits << " bits, dimension " << shape.dimension << ", stages " << shape.stages);
        Problem problem(3, 240, shape);
        const auto learner = Choice<Estimator>::parse("{type: nearest, rate: 0.3}")
                                 .make()
                                 ->start_vectors(problem.matrix, problem.target);
        const auto spacing = static_cast<double>(latent_spacing(problem.matrix));
        const Tensor latent = learner->position();
        std::vector<double> m(720);
        std::vector<double> v(720);
        std::int64_t moved = 0;
        for (std::int64_t number = 0; number < 4; ++number) {
            const Tensor gradient = random_tensor({3, 240}, "g" + std::to_string(number), DType::f32);
            const Tensor before = latent.clone();
            const Problem old = problem;
            const Tensor former = problem.matrix.mapping.clone();
            JumpHistogram jumps;
            learner->step(problem.matrix, step_of(gradient, number), jumps);
            for (std::size_t i = 0; i < 720; ++i) {
                const auto g = static_cast<double>(gradient.values<float>()[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                const double t = static_cast<double>(number + 1);
                const double step = 0.3 * spacing * (m[i] / (1 - std::pow(0.9, t))) /
                                    std::sqrt(v[i] / (1 - std::pow(0.95, t)));
                double low = -0.5 * spacing;
                double high = 0.5 * spacing;
                for (int stage = 0; stage < shape.stages; ++stage) {
                    double least = 1e30;
                    double most = -1e30;
                    for (int k = 0; k < 1 << shape.bits; ++k) {
                        const double c = problem.codeword(stage, k, static_cast<int>(i) % shape.dimension);
                        least = std::min(least, c);
                        most = std::max(most, c);
                    }
                    low += least;
                    high += most;
                }
                const double expected =
                    std::clamp(static_cast<double>(before.values<float>()[i]) - step, low, high);
                REQUIRE(latent.values<float>()[i] == Approx(expected).margin(2e-5));
            }
            // From the former codes, as the reference above has it.
            Problem reference = problem;
            reference.matrix = problem.matrix.clone();
            std::ranges::copy(former.bytes(), reference.matrix.mapping.bytes().begin());
            const Tensor wanted = codes_of_cells(reference.matrix, latent);
            REQUIRE(std::ranges::equal(wanted.bytes(), problem.matrix.mapping.bytes()));
            std::vector<std::int64_t> expected_jumps(static_cast<std::size_t>((1 << shape.bits) - 1));
            for (int stage = 0; stage < shape.stages; ++stage)
                for (std::int64_t place = 0; place < problem.places(); ++place) {
                    const int from = reference.code(stage, place);
                    const int to = problem.code(stage, place);
                    if (from == to) continue;
                    std::size_t nearer = 0;
                    for (int k = 0; k < 1 << shape.bits; ++k)
                        if (k != from && k != to &&
                            problem.distance(stage, from, k) < problem.distance(stage, from, to))
                            ++nearer;
                    ++expected_jumps[nearer];
                }
            REQUIRE(jumps.jumps == expected_jumps);
            moved += jumps.moved();
        }
        CHECK(moved > 0);
    }
}

TEST_CASE("a cap lets those vectors change that lie farthest beyond their cells") {
    for (const CodeShape& shape : {CodeShape{4, 2, 1}, CodeShape{4, 4, 2}}) {
        Problem problem(3, 240, shape);
        const auto learner = Choice<Estimator>::parse("{type: nearest, rate: 0.5}")
                                 .make()
                                 ->start_vectors(problem.matrix, problem.target);
        int capped = 0;
        for (std::int64_t number = 0; number < 10; ++number) {
            const CompressedMatrix before = problem.matrix.clone();
            JumpHistogram jumps;
            constexpr std::int64_t most = 5;
            const Tensor gradient = random_tensor({3, 240}, "g" + std::to_string(number), DType::f32);
            learner->step(problem.matrix, step_of(gradient, number, most), jumps);
            const Tensor wanted = codes_of_cells(before, learner->position());
            const Tensor beyond = beyond_vector_cells(before, learner->position(), wanted);
            std::int64_t changes = 0;
            std::int64_t wishes = 0;
            float least_granted = 1e30F;
            float largest_refused = 0;
            for (std::int64_t place = 0; place < problem.places(); ++place) {
                bool wishing = false;
                bool changed = false;
                for (int stage = 0; stage < shape.stages; ++stage) {
                    const std::int64_t at = stage * problem.places() + place;
                    const int was = before.mapping.data<std::uint8_t>()[at];
                    const int is = problem.matrix.mapping.data<std::uint8_t>()[at];
                    wishing = wishing || wanted.data<std::uint8_t>()[at] != was;
                    changed = changed || is != was;
                    if (is != was) REQUIRE(is == int{wanted.data<std::uint8_t>()[at]});
                }
                const float far = beyond.data<float>()[place];
                REQUIRE((far > 0) == wishing);
                wishes += wishing ? 1 : 0;
                changes += changed ? 1 : 0;
                if (changed) least_granted = std::min(least_granted, far);
                if (wishing && !changed) largest_refused = std::max(largest_refused, far);
            }
            REQUIRE(changes == std::min(wishes, most));
            if (wishes > most) REQUIRE(least_granted >= largest_refused);
            capped += wishes > most ? 1 : 0;
        }
        CHECK(capped > 3);
    }
}

TEST_CASE("learning vectors, and stages, lowers the loss of a block") {
    for (const Compress compress : {compress_vectors, compress_stages}) {
        for (const std::string estimator :
             {"frozen", "{type: nearest, rate: 0.05}", "{type: naive_ste, rate: 0.01}", "softmax",
              "{type: proximal, rate: 0.05}", "{type: proximal, form: exponential, rate: 0.05}"}) {
            BlockProblem problem(compress);
            const auto learner = problem.learner(estimator, 60);
            double first = 0;
            double last = 0;
            for (int i = 0; i < 60; ++i) {
                const auto record = learner->step();
                if (i < 3) first += record.at("loss").get<double>();
                if (i >= 57) last += record.at("loss").get<double>();
            }
            INFO(estimator << ": " << first << " to " << last);
            CHECK(last < 0.8 * first);
            learner->finish();
            for (const auto& [id, matrix] : problem.model.matrices()) matrix.validate("result");
        }
    }
}

TEST_CASE("learners of vectors restored from their state go on to the same bits, at any number of threads") {
    const auto run = [](Trainable& learner, std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) (void)learner.step();
    };
    for (const Compress compress : {compress_vectors, compress_stages}) {
        const auto compare = [&](auto make, auto&& one, auto&& two) {
            set_thread_count(1);
            const auto undisturbed = make(one);
            run(*undisturbed, 0, 8);
            undisturbed->finish();
            set_thread_count(2);
            const auto killed = make(two);
            run(*killed, 0, 3);
            const auto saved = checkpoint_of(*killed);
            const auto resumed = make(two);
            restore(*resumed, saved, 3);
            run(*resumed, 3, 8);
            resumed->finish();
            for (const auto& [id, matrix] : one.model.matrices())
                REQUIRE(matrix.identical(two.model.matrices().at(id)));
        };
        for (const std::string estimator :
             {"{type: nearest, rate: 0.05}", "{type: softmax, rate: 0.05, window: 4}",
              "{type: proximal, rate: 0.05, window: 3, second_moment: score}",
              "{type: naive_ste, rate: 0.05, second_moment: none}"}) {
            INFO(estimator);
            compare([&](BlockProblem& problem) { return problem.learner(estimator, 8); },
                    BlockProblem(compress), BlockProblem(compress));
            compare(
                [&](Distillation& problem) {
                    problem.options.steps = 8;
                    problem.options.estimator = Choice<Estimator>::parse(estimator);
                    problem.options.batch_at_once = 3;
                    problem.options.mapping.every = 2;
                    problem.options.mapping.most = 0.02;
                    return problem.learner();
                },
                Distillation(Tables::none, compress), Distillation(Tables::none, compress));
        }
    }
}

TEST_CASE("distillation of vectors lowers the divergence, and goes on from where blocks left them") {
    Distillation problem(Tables::none, compress_vectors);
    problem.options.steps = 30;
    problem.options.estimator = Choice<Estimator>::parse("{type: nearest, rate: 0.02}");
    const auto distiller = problem.learner();
    std::vector<double> losses;
    for (int i = 0; i < 30; ++i) losses.push_back(distiller->step().at("loss"));
    CHECK(std::accumulate(losses.end() - 6, losses.end(), 0.0) <
          std::accumulate(losses.begin(), losses.begin() + 6, 0.0));
    problem.options.mapping.start = MappingStart::learned;
    const auto went_on =
        make_distiller(problem.model, problem.samples, problem.options, DType::f32, cpu_backend(), nullptr,
                       [&](std::size_t) { return distiller->positions(); })
            ->positions();
    const auto left = distiller->positions();
    REQUIRE(left.size() == went_on.size());
    for (std::size_t i = 0; i < left.size(); ++i) CHECK(identical(left[i].tensor, went_on[i].tensor));
}

TEST_CASE("estimators and layouts that do not know vectors are refused") {
    const Problem problem(2, 16, {3, 2, 1});
    const auto learned = [&](const CompressedMatrix& matrix, const std::string& estimator) {
        const auto made = Choice<Estimator>::parse(estimator).make();
        return LearnedMatrix("mlp.up", matrix, problem.target, made.get(), cpu_backend());
    };
    CHECK_THROWS_WITH(learned(problem.matrix, "curvature"), Catch::Contains("codes of single weights"));
    Layout per_row = Layout::per_row(2, 16, 3);
    per_row.dimension = 2;
    CHECK_THROWS_WITH(learned(CompressedMatrix::zeros(per_row), "frozen"),
                      Catch::Contains("mlp.up") && Catch::Contains("one codebook for the matrix"));
}

namespace {

/// The scores of one code, written from the formulas.
struct ReferenceScores {
    std::vector<int> candidates;  ///< the nearest codewords of the present one, which is the first
    std::vector<double> score, first, second;
};

/// The codewords of a stage by their distance from one, that one first.
std::vector<int> by_distance(const Problem& problem, int stage, int code) {
    std::vector<int> order(static_cast<std::size_t>(problem.matrix.layout.codewords()));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {},
                             [&](int k) { return k == code ? -1.0 : problem.distance(stage, code, k); });
    return order;
}

std::vector<double> reference_slopes(const std::string& rule, const std::vector<double>& along,
                                     const std::vector<double>& away, const std::vector<double>& scores,
                                     double temperature) {
    std::vector<double> slopes(along.size());
    const double top = *std::ranges::max_element(scores);
    double total = 0;
    double mean = 0;
    for (std::size_t k = 0; k < along.size(); ++k) {
        const double share = std::exp((scores[k] - top) / temperature);
        total += share;
        mean += share * along[k];
    }
    mean /= total;
    for (std::size_t k = 0; k < along.size(); ++k) {
        const double cosine = k == 0 ? 0.0 : (along[k] - along[0]) / away[k];
        if (rule == "naive_ste") slopes[k] = along[k];
        if (rule == "softmax")
            slopes[k] = std::exp((scores[k] - top) / temperature) / total * (along[k] - mean) / temperature;
        if (rule == "{type: proximal") slopes[k] = k == 0 ? 0.0 : cosine / away[k];
        if (rule == "{type: proximal, form: exponential") slopes[k] = cosine * std::exp(-away[k]);
    }
    return slopes;
}

}  // namespace

TEST_CASE("scores of vectors step as a scalar reference does, under each rule and kind of second moment") {
    for (const std::string rule :
         {"naive_ste", "softmax", "{type: proximal", "{type: proximal, form: exponential"}) {
        for (const std::string second : {"weight", "score", "none"}) {
            for (const CodeShape& shape : {CodeShape{4, 2, 1}, CodeShape{3, 4, 2}}) {
                INFO(rule << ", " << second << ", dimension " << shape.dimension);
                constexpr std::size_t window = 5;
                constexpr double rate = 0.1;
                Problem problem(3, 48, shape);
                const auto learner =
                    Choice<Estimator>::parse((rule.starts_with('{') ? rule : "{type: " + rule) +
                                             ", window: 5, rate: 0.1, second_moment: " + second + "}")
                        .make()
                        ->start_vectors(problem.matrix, problem.target);
                const Tensor scores = learner->position();
                std::vector<ReferenceScores> expected;
                for (int stage = 0; stage < shape.stages; ++stage)
                    for (std::int64_t place = 0; place < problem.places(); ++place) {
                        const int code = problem.code(stage, place);
                        auto& own = expected.emplace_back();
                        own.candidates = by_distance(problem, stage, code);
                        own.candidates.resize(window);
                        own.first.resize(window);
                        own.second.resize(window);
                        const auto scale = static_cast<double>(
                            problem.matrix.scale(place / problem.matrix.layout.codes_per_row()));
                        std::vector<float> weights(static_cast<std::size_t>(shape.dimension));
                        for (std::size_t e = 0; e < weights.size(); ++e)
                            weights[e] =
                                problem.target
                                    .values<float>()[static_cast<std::size_t>(place * shape.dimension) + e] /
                                static_cast<float>(scale);
                        const auto rest = problem.rest(weights.data(), problem.codes(place), stage);
                        const auto spacing = static_cast<double>(vector_spacing(problem.matrix, stage));
                        for (const int k : own.candidates)
                            own.score.push_back(
                                k == code ? 0.0
                                          : -std::max(0.5 *
                                                          (std::sqrt(problem.squared(rest, stage, k)) -
                                                           std::sqrt(problem.squared(rest, stage, code))) /
                                                          spacing,
                                                      static_cast<double>(StartMargin().of(place))));
                        for (std::size_t k = 0; k < window; ++k)
                            REQUIRE(scores.values<float>()[(expected.size() - 1) * window + k] ==
                                    Approx(own.score[k]).margin(1e-4));
                    }
                double unit = 0;
                std::int64_t moved = 0;
                for (std::int64_t number = 0; number < 6; ++number) {
                    const Tensor gradient = random_tensor({3, 48}, "g" + std::to_string(number), DType::f32);
                    if (unit == 0)
                        unit = std::sqrt(cpu_backend().sum_of_squares(gradient) /
                                         static_cast<double>(gradient.size()));
                    const Problem before = problem;
                    const Tensor former = problem.matrix.mapping.clone();
                    JumpHistogram jumps;
                    learner->step(problem.matrix, step_of(gradient, number), jumps);
                    moved += jumps.moved();
                    const double t = static_cast<double>(number + 1);
                    const double correction1 = 1 / (1 - std::pow(0.9, t));
                    const double correction2 = 1 / (1 - std::pow(0.95, t));
                    for (std::size_t i = 0; i < expected.size(); ++i) {
                        const int stage = static_cast<int>(static_cast<std::int64_t>(i) / problem.places());
                        const std::int64_t place = static_cast<std::int64_t>(i) % problem.places();
                        auto& own = expected[i];
                        const auto spacing = static_cast<double>(vector_spacing(problem.matrix, stage));
                        const auto scale = static_cast<double>(
                            problem.matrix.scale(place / problem.matrix.layout.codes_per_row()));
                        std::vector<double> along;
                        std::vector<double> away;
                        for (const int k : own.candidates) {
                            double sum = 0;
                            for (int e = 0; e < shape.dimension; ++e)
                                sum +=
                                    static_cast<double>(gradient.data<float>()[place * shape.dimension + e]) *
                                    problem.codeword(stage, k, e);
                            along.push_back(scale * sum / spacing);
                            away.push_back(problem.distance(stage, own.candidates[0], k) / spacing);
                        }
                        const double temperature = rule == "softmax" ? 0.5 : 1.0;
                        const auto slopes = reference_slopes(rule, along, away, own.score, temperature);
                        double fastest = 0;
                        for (const double slope : slopes)
                            fastest = std::max(fastest, std::abs(slope - slopes[0]));
                        for (std::size_t k = 0; k < window; ++k) {
                            own.first[k] = 0.9 * own.first[k] + 0.1 * slopes[k];
                            double root = unit;
                            if (second != "none") {
                                const double square = second == "score" ? slopes[k] : fastest;
                                own.second[k] = 0.95 * own.second[k] + 0.05 * square * square;
                                root = std::sqrt(own.second[k] * correction2);
                            }
                            own.score[k] -= rate * correction1 * own.first[k] / (root + 1e-15);
                        }
                        // The one that was taken, which is the best but for rounding.
                        const auto taken = std::ranges::find(own.candidates, problem.code(stage, place));
                        REQUIRE(taken != own.candidates.end());
                        const auto best = static_cast<std::size_t>(taken - own.candidates.begin());
                        REQUIRE(own.score[best] >= *std::ranges::max_element(own.score) - 1e-4);
                        if (best > 0) {
                            const ReferenceScores old = own;
                            own.candidates = by_distance(problem, stage, old.candidates[best]);
                            own.candidates.resize(window);
                            for (std::size_t k = 0; k < window; ++k) {
                                const auto found = std::ranges::find(old.candidates, own.candidates[k]);
                                const bool known = found != old.candidates.end();
                                const std::size_t from =
                                    known ? static_cast<std::size_t>(found - old.candidates.begin()) : best;
                                own.score[k] = old.score[from];
                                if (!known)
                                    own.score[k] -=
                                        0.5 * problem.distance(stage, own.candidates[0], own.candidates[k]) /
                                        spacing;
                                own.first[k] = old.first[from];
                                if (second == "score") own.second[k] = old.second[from];
                            }
                        }
                        REQUIRE(problem.code(stage, place) == own.candidates[0]);
                        for (std::size_t k = 0; k < window; ++k)
                            REQUIRE(scores.values<float>()[i * window + k] ==
                                    Approx(own.score[k]).margin(2e-3));
                    }
                }
                CHECK(moved > 0);
            }
        }
    }
}

TEST_CASE("scores of vectors keep to a cap, and to the memory that is stated") {
    const std::string choice = "{type: proximal, rate: 0.5, window: 4}";
    for (const CodeShape& shape : {CodeShape{4, 2, 1}, CodeShape{3, 4, 2}}) {
        Problem free(3, 48, shape);
        Problem capped(3, 48, shape);
        const auto estimator = Choice<Estimator>::parse(choice).make();
        const auto one = estimator->start_vectors(free.matrix, free.target);
        const auto two = estimator->start_vectors(capped.matrix, capped.target);
        double held = 0;
        for (const NamedTensor& entry : one->state())
            if (entry.name != "neighbours") held += static_cast<double>(entry.tensor.byte_count());
        CHECK(held == estimator->bytes_per_weight(shape) * 3 * 48);
        for (std::int64_t number = 0; number < 8; ++number) {
            const Tensor gradient = random_tensor({3, 48}, "g" + std::to_string(number), DType::f32);
            JumpHistogram moved;
            one->step(free.matrix, step_of(gradient, number), moved);
            const Tensor former = capped.matrix.mapping.clone();
            JumpHistogram few;
            two->step(capped.matrix, step_of(gradient, number, 3), few);
            std::int64_t places = 0;
            for (std::int64_t place = 0; place < capped.places(); ++place) {
                bool changed = false;
                for (int stage = 0; stage < shape.stages; ++stage)
                    changed = changed || former.data<std::uint8_t>()[stage * capped.places() + place] !=
                                             capped.code(stage, place);
                places += changed ? 1 : 0;
            }
            CHECK(places <= 3);
            if (number == 0) CHECK(places == std::min<std::int64_t>(3, moved.moved()));
        }
    }
}
