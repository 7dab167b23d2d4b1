#include "core/base/parallel.hpp"
#include "core/learn/coded_matrix.hpp"
#include "plugins/estimator/nearest/nearest_step.hpp"
#include "plugins/solver/adaround/learned_rounding.hpp"
#include "tests/unit/learn/learning_fixtures.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

using namespace jlcm;
using namespace jlcm::test;

TEST_CASE("the gradient of the tables is the sum over the weights that read them") {
    Layout layout;
    layout.rows = 6;
    layout.cols = 10;
    layout.bits = 2;
    layout.column_group = 4;
    layout.row_groups = 2;
    layout.runs = {{0, 1}, {2, 0}, {5, 1}};
    CompressedMatrix matrix = CompressedMatrix::zeros(layout);
    for (std::int64_t i = 0; i < 60; ++i)
        matrix.mapping.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 7 % 4);
    const Tensor gradient = random_tensor({6, 10}, "g", DType::f32);
    const Tensor tables = group_tables(matrix);
    const GroupMap map = layout.group_map();
    const Tensor sums =
        cpu_backend().table_gradient(coded_matrix(matrix, tables, map), gradient, layout.groups());
    const auto groups = layout.row_group_of_rows();
    std::vector<double> expected(static_cast<std::size_t>(sums.size()));
    for (std::int64_t r = 0; r < 6; ++r)
        for (std::int64_t c = 0; c < 10; ++c)
            expected[static_cast<std::size_t>((groups[static_cast<std::size_t>(r)] * 3 + c / 4) * 4 +
                                              (r * 10 + c) * 7 % 4)] +=
                static_cast<double>(gradient.data<float>()[r * 10 + c]);
    for (std::int64_t i = 0; i < sums.size(); ++i)
        REQUIRE(sums.data<float>()[i] == Approx(expected[static_cast<std::size_t>(i)]).margin(1e-5));
}

TEST_CASE("the nearest step is Adam on the latent and the nearest codeword") {
    CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_row(3, 700, 2));
    for (std::int64_t r = 0; r < 3; ++r)
        for (int k = 0; k < 4; ++k)
            matrix.codebooks.data<float>()[r * 4 + k] = static_cast<float>(r + 1) * static_cast<float>(k * k);
    const Tensor tables = group_tables(matrix);
    const GroupMap groups = matrix.layout.group_map();
    const CodedMatrix coded = coded_matrix(matrix, tables, groups);
    Tensor latent = random_tensor({3, 700}, "latent", DType::f32, 4.0);
    Tensor first = Tensor::zeros({3, 700});
    Tensor second = Tensor::zeros({3, 700});
    for (std::int64_t step = 0; step < 3; ++step) {
        const Tensor gradient = random_tensor({3, 700}, "g" + std::to_string(step), DType::f32);
        const Tensor before = latent.clone();
        const Tensor codes_before = matrix.mapping.clone();
        const Tensor m = first.clone();
        const Tensor v = second.clone();
        std::vector<std::int64_t> jumps;
        nearest_step(coded, gradient, adam_step(step, 0.3), latent, first, second, jumps);
        std::vector<std::int64_t> expected_jumps(3);
        for (std::int64_t i = 0; i < 2100; ++i) {
            const float* book = tables.data<float>() + i / 700 * 4;
            const double gap = static_cast<double>(book[3] - book[0]) / 3;
            const double g = static_cast<double>(gradient.data<float>()[i]);
            const double mi = 0.9 * static_cast<double>(m.data<float>()[i]) + 0.1 * g;
            const double vi = 0.95 * static_cast<double>(v.data<float>()[i]) + 0.05 * g * g;
            const double t = static_cast<double>(step + 1);
            const double moved =
                static_cast<double>(before.data<float>()[i]) -
                0.3 * gap * (mi / (1 - std::pow(0.9, t))) / std::sqrt(vi / (1 - std::pow(0.95, t)));
            const double clamped = std::clamp(moved, static_cast<double>(book[0]) - gap / 2,
                                              static_cast<double>(book[3]) + gap / 2);
            REQUIRE(latent.data<float>()[i] == Approx(clamped).margin(2e-5));
            int best = 0;
            for (int k = 1; k < 4; ++k)
                if (std::abs(book[k] - latent.data<float>()[i]) <
                    std::abs(book[best] - latent.data<float>()[i]))
                    best = k;
            REQUIRE(int{matrix.mapping.data<std::uint8_t>()[i]} == best);
            const int jump = std::abs(best - int{codes_before.data<std::uint8_t>()[i]});
            if (jump > 0) ++expected_jumps[static_cast<std::size_t>(jump - 1)];
        }
        REQUIRE(jumps == expected_jumps);
    }
}

TEST_CASE("learning a block lowers its loss with every estimator") {
    for (const std::string estimator :
         {"frozen", "{type: naive_ste, rate: 0.01}", "{type: nearest, rate: 0.05}", "softmax",
          "{type: proximal, rate: 0.05}", "{type: proximal, form: exponential, rate: 0.05}",
          "{type: proximal, form: adjacent, rate: 0.05}", "{type: curvature, trust: 0.05}",
          "{type: gumbel, rate: 0.05}"}) {
        BlockProblem problem;
        const auto learner = problem.learner(estimator, 60);
        double first = 0;
        double last = 0;
        for (int i = 0; i < 60; ++i) {
            const auto record = learner->step();
            if (i < 3) first += record.at("loss").get<double>();
            if (i >= 57) last += record.at("loss").get<double>();
        }
        INFO(estimator << ": " << first << " to " << last);
        REQUIRE(last < 0.8 * first);
        learner->finish();
        for (const auto& [id, matrix] : problem.model.matrices()) matrix.validate("result");
    }
}

TEST_CASE("learned rounding of a block beats rounding to the nearest, codebooks as they are") {
    const auto hard_loss = [](BlockProblem& problem) {
        double loss = 0;
        const auto measured = problem.learner("frozen", 3);  // three steps see all sequences, and move little
        for (int i = 0; i < 3; ++i) loss += measured->step().at("loss").get<double>();
        return loss;
    };
    BlockProblem nearest;
    BlockProblem learned;
    BlockLearningOptions options;
    options.steps = 300;
    options.batch = 4;
    options.codebook_rate = options.scale_rate = options.norm_rate = 0;
    options.estimator = Choice<Estimator>("adaround");
    const auto learner = make_block_learner(learned.executor, learned.block(), learned.model, learned.inputs,
                                            learned.targets, options, 1);
    for (int i = 0; i < 300; ++i) (void)learner->step();
    learner->finish();
    for (const auto& use : nearest.base.graph().linears(nearest.block().nodes)) {
        const auto& before = nearest.model.matrices().at(use.parameter);
        const auto& after = learned.model.matrices().at(use.parameter);
        after.validate("result");
        for (std::int64_t i = 0; i < before.codebooks.size(); ++i)
            REQUIRE(after.codebooks.data<float>()[i] ==
                    Approx(before.codebooks.data<float>()[i]).epsilon(1e-3));
        for (std::int64_t i = 0; i < before.mapping.size(); ++i)
            REQUIRE(std::abs(int{after.mapping.data<std::uint8_t>()[i]} -
                             int{before.mapping.data<std::uint8_t>()[i]}) <= 1);
    }
    const double rounded = hard_loss(nearest);
    const double found = hard_loss(learned);
    INFO(rounded << " to " << found);
    CHECK(found < 0.7 * rounded);
}

TEST_CASE("the rounding step is Adam on the rounding variable, and its forward lies between neighbours") {
    CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_row(3, 37, 2));
    for (std::int64_t i = 0; i < 12; ++i)
        matrix.codebooks.data<float>()[i] = static_cast<float>(i * i) * 0.1F;
    const Tensor tables = group_tables(matrix);
    const GroupMap groups = matrix.layout.group_map();
    const CodedMatrix coded = coded_matrix(matrix, tables, groups);
    Tensor low = Tensor::empty({3, 37}, DType::u8);
    for (std::int64_t i = 0; i < low.size(); ++i)
        low.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i % 3);
    Tensor v = random_tensor({3, 37}, "v", DType::f32, 3.0);
    const Tensor before = v.clone();
    const Tensor gradient = random_tensor({3, 37}, "gradient", DType::f32);
    Tensor first = random_tensor({3, 37}, "first", DType::f32, 0.1);
    Tensor second = Tensor::zeros({3, 37});
    const Tensor first_before = first.clone();
    Tensor soft = Tensor::empty({3, 37});
    soft_rounding(coded, low, v, soft);
    const RoundingStep step{
        .slope = 0.5F, .regulariser = 0.3F, .beta = 4, .rate = 0.1F, .correction1 = 2, .correction2 = 3};
    std::vector<std::int64_t> jumps;
    rounding_step(coded, low, gradient, step, v, first, second, jumps);
    for (std::int64_t i = 0; i < v.size(); ++i) {
        const float* table = tables.data<float>() + i / 37 * 4 + low.data<std::uint8_t>()[i];
        const double gap = static_cast<double>(table[1]) - static_cast<double>(table[0]);
        const double s = 1 / (1 + std::exp(-static_cast<double>(before.data<float>()[i])));
        const double h = std::clamp(1.2 * s - 0.1, 0.0, 1.0);
        CHECK(soft.data<float>()[i] == Approx(static_cast<double>(table[0]) + gap * h).margin(1e-5));
        const double pull = -8 * std::pow(std::abs(2 * h - 1), 3) * (h < 0.5 ? -1 : 1);
        const double slope = h > 0 && h < 1
                                 ? (0.5 * static_cast<double>(gradient.data<float>()[i]) * gap + 0.3 * pull) *
                                       1.2 * s * (1 - s)
                                 : 0.0;
        const double mean = 0.9 * static_cast<double>(first_before.data<float>()[i]) + 0.1 * slope;
        const double square = 0.001 * slope * slope;
        const double moved =
            static_cast<double>(before.data<float>()[i]) - 0.1 * mean * 2 / (std::sqrt(square * 3) + 1e-12);
        if (slope != 0.0) CHECK(v.data<float>()[i] == Approx(moved).epsilon(1e-3).margin(1e-3));
        CHECK(int{matrix.mapping.data<std::uint8_t>()[i]} ==
              int{low.data<std::uint8_t>()[i]} + (v.data<float>()[i] >= 0 ? 1 : 0));
    }
}

TEST_CASE("a learner restored from its state goes on to the same bits, at any number of threads") {
    for (const std::string estimator :
         {"{type: naive_ste, rate: 0.05}", "{type: nearest, rate: 0.05}", "{type: softmax, rate: 0.05}",
          "{type: proximal, rate: 0.05, window: 3}", "{type: proximal, rate: 0.05, second_moment: score}",
          "{type: proximal, rate: 0.05, second_moment: none}", "curvature", "adaround",
          "{type: gumbel, window: 3}"}) {
        BlockProblem one;
        set_thread_count(1);
        const auto undisturbed = one.learner(estimator, 20);
        for (int i = 0; i < 20; ++i) (void)undisturbed->step();
        undisturbed->finish();

        set_thread_count(2);
        BlockProblem two;
        const auto killed = two.learner(estimator, 20);
        for (int i = 0; i < 9; ++i) (void)killed->step();
        const auto saved = checkpoint_of(*killed);
        const auto resumed = two.learner(estimator, 20);
        restore(*resumed, saved, 9);
        for (int i = 9; i < 20; ++i) (void)resumed->step();
        resumed->finish();
        for (const auto& use : one.base.graph().linears(one.block().nodes))
            REQUIRE(one.model.matrices().at(use.parameter).identical(two.model.matrices().at(use.parameter)));
        for (const auto& [id, norm] : one.model.dense()) REQUIRE(identical(norm, two.model.dense().at(id)));
    }
}

TEST_CASE("distillation lowers the divergence from the original model") {
    const Model base = test::tiny_llama();
    CompressedModel model(base);
    compress_rows(model);
    if (GENERATE(false, true)) compress_tables(model);
    DistillationOptions options;
    options.steps = 40;
    options.batch = 4;
    options.rate = 0.02;
    options.norm_rate = 0.01;
    for (const bool mapping : {false, true}) {
        if (mapping) options.estimator = Choice<Estimator>::parse("{type: nearest, rate: 0.02}");
        const auto distiller = make_distiller(model, test::random_ids({8, 12}, 32, "windows"), options,
                                              DType::f32, cpu_backend());
        double first = 0;
        double last = 0;
        for (int i = 0; i < 40; ++i) {
            const double loss = distiller->step().at("loss").get<double>();
            if (i < 2) first += loss;
            if (i >= 38) last += loss;
        }
        INFO(first << " to " << last);
        REQUIRE(last < first);
        distiller->finish();
        for (const auto& [id, matrix] : model.matrices()) matrix.validate("result");
    }
}

TEST_CASE("the gradient that a step gathers from its parts is that of the loss, by finite differences") {
    Distillation problem(GENERATE(Tables::none, Tables::tied, Tables::apart));
    problem.options.steps = 2;
    problem.options.rate = problem.options.norm_rate = 0;
    problem.options.estimator = Choice<Estimator>::parse("nearest");
    problem.options.mapping.every = 2;
    problem.options.batch_at_once = 3;
    const auto loss = [&] { return problem.learner()->step().at("loss").get<double>(); };
    const auto learner = problem.learner();
    (void)learner->step();
    const Graph& graph = problem.base.graph();
    for (auto& [id, matrix] : problem.model.matrices()) {
        if (id == graph.head() && graph.head_table() != id) continue;  // its table's
        const std::string& name = graph.parameter(id).name;
        const Tensor gathered = tensor_of(*learner, name + ".gathered_gradient");
        REQUIRE(gathered.defined());
        for (const int k : {0, 2}) {
            double sum = 0;  // of the first row's weights with code k: its codebook's gradient
            for (std::int64_t j = 0; j < matrix.layout.cols; ++j)
                if (matrix.mapping.data<std::uint8_t>()[j] == k)
                    sum += 2 * static_cast<double>(gathered.data<float>()[j]);
            const float kept = matrix.codebooks.data<float>()[k];
            const double width = 5e-3 * std::abs(static_cast<double>(kept)) + 1e-4;
            const auto loss_at = [&](double word) {
                matrix.codebooks.data<float>()[k] = static_cast<float>(word);
                if (id == graph.head_table())
                    problem.model.matrices().at(graph.head()).codebooks.data<float>()[k] =
                        static_cast<float>(word);
                return loss();
            };
            const double up = loss_at(static_cast<double>(kept) + width);
            const double down = loss_at(static_cast<double>(kept) - width);
            (void)loss_at(static_cast<double>(kept));
            INFO(name << ", codeword " << k);
            CHECK(sum == Approx((up - down) / (2 * width)).epsilon(0.03).margin(2e-4));
        }
    }
}

TEST_CASE("a step is the same whatever of its batch goes through the model at once") {
    const Tables tables = GENERATE(Tables::none, Tables::tied, Tables::apart);
    Distillation whole(tables);
    Distillation parts(tables);
    parts.options.batch_at_once = 3;
    const auto one = whole.learner();
    const auto two = parts.learner();
    for (int i = 0; i < 3; ++i) {
        const double loss = one->step().at("loss");
        CHECK(two->step().at("loss").get<double>() == Approx(loss).epsilon(1e-4));
    }
    const auto state = one->state();
    const auto other = two->state();
    for (std::size_t i = 0; i < state.size(); ++i) {
        if (!state[i].name.ends_with(".first_moment")) continue;  // a step of Adam hides the gradient's size
        const auto values = state[i].tensor.values<float>();
        float largest = 0;
        for (const float v : values) largest = std::max(largest, std::abs(v));
        for (std::int64_t j = 0; j < state[i].tensor.size(); ++j)
            REQUIRE(other[i].tensor.data<float>()[j] ==
                    Approx(state[i].tensor.data<float>()[j]).margin(2e-2 * static_cast<double>(largest)));
    }
}

TEST_CASE("a distillation restored from its state goes on to the same bits, at any number of threads") {
    const Tables tables = GENERATE(Tables::none, Tables::tied, Tables::apart);
    for (const std::string estimator : {"nearest", "naive_ste", "softmax", "{type: proximal, window: 3}",
                                        "curvature", "frozen", "adaround"}) {
        INFO(estimator);
        const auto set = [&](Distillation& problem) {
            problem.options.estimator = Choice<Estimator>::parse(estimator);
            problem.options.batch_at_once = 3;
            problem.options.mapping.every = 2;
            if (estimator != "adaround") problem.options.mapping.most = 0.02;
        };
        set_thread_count(1);
        Distillation one(tables);
        set(one);
        const auto undisturbed = one.learner();
        for (int i = 0; i < 6; ++i) (void)undisturbed->step();
        undisturbed->finish();

        set_thread_count(2);
        Distillation two(tables);
        set(two);
        const auto killed = two.learner();
        for (int i = 0; i < 3; ++i) (void)killed->step();  // amid what a step of the mapping gathers
        const auto saved = checkpoint_of(*killed);
        const auto resumed = two.learner();
        restore(*resumed, saved, 3);
        for (int i = 3; i < 6; ++i) (void)resumed->step();
        resumed->finish();
        for (const auto& [id, matrix] : one.model.matrices())
            REQUIRE(matrix.identical(two.model.matrices().at(id)));
        for (const auto& [id, norm] : one.model.dense()) REQUIRE(identical(norm, two.model.dense().at(id)));
    }
}

TEST_CASE("distillation moves tables as asked, and a tied head with its embedding") {
    const Tables tables = GENERATE(Tables::tied, Tables::apart);
    const bool moves = GENERATE(false, true);
    Distillation problem(tables);
    problem.options.embedding = moves;
    const Graph& graph = problem.base.graph();
    std::map<ParameterId, CompressedMatrix> before;
    for (const ParameterId id : graph.tables()) before.emplace(id, problem.model.matrices().at(id).clone());
    const auto learner = problem.learner();
    for (int i = 0; i < 3; ++i) (void)learner->step();
    learner->finish();
    CHECK(before.size() == (tables == Tables::tied ? 1U : 2U));
    for (const auto& [id, matrix] : before) CHECK(matrix.identical(problem.model.matrices().at(id)) != moves);
    CHECK(
        problem.model.matrices().at(graph.head()).identical(problem.model.matrices().at(graph.head_table())));
}

TEST_CASE("the mapping steps by itself: seldom, by its own schedule, under a cap") {
    Distillation problem;
    problem.options.steps = 7;
    problem.options.estimator = Choice<Estimator>::parse("{type: nearest, rate: 0.3}");
    problem.options.mapping = {.every = 3, .schedule = Schedule::constant, .warmup = 0, .most = 0.01};
    const auto learner = problem.learner();
    for (int i = 0; i < 7; ++i) {
        const double moved = learner->step().at("moved");
        CHECK((moved > 0) == (i % 3 == 2));
        CHECK(moved < 0.013);  // a small matrix may change one code in any case
    }
    problem.options.mapping.schedule.reset();
    const MatrixStep last = problem.options.matrix_step(5);
    CHECK(last.mapping->number == 1);
    CHECK(last.mapping->factor == Approx(schedule_factor(Schedule::cosine, 1, 2, 0)));
    CHECK(last.rates.factor == Approx(schedule_factor(Schedule::cosine, 5, 7, 0)));
    CHECK_FALSE(problem.options.matrix_step(6).mapping);
}

TEST_CASE("distillation goes on from where block learning left the weights") {
    BlockProblem block;
    DistillationOptions options;
    options.batch = 4;
    options.estimator = Choice<Estimator>::parse("nearest");
    const Tensor windows = test::random_ids({8, 12}, 32, "windows");
    const auto distiller = [&](const PositionsOfBlock& positions) {
        return make_distiller(block.model, windows, options, DType::f32, cpu_backend(), nullptr, positions);
    };
    const auto fresh = distiller({});
    const auto learned = block.learner("{type: nearest, rate: 0.05}", 5);
    for (int i = 0; i < 5; ++i) (void)learned->step();

    options.mapping.start = MappingStart::learned;
    const auto of_block = [&](std::size_t index) {
        return index == 1 ? learned->positions() : fresh->positions();
    };
    const auto went_on = distiller(of_block)->positions();
    const auto started = fresh->positions();
    const auto left = learned->positions();
    REQUIRE(went_on.size() == started.size());
    for (std::size_t i = 0; i < started.size(); ++i) {
        const auto found = std::ranges::find(left, started[i].name, &NamedTensor::name);
        CHECK(identical(went_on[i].tensor, found == left.end() ? started[i].tensor : found->tensor));
    }
    CHECK_THROWS_WITH(distiller([&](std::size_t) { return learned->positions(); }),
                      Catch::Contains("block learning left no positions of"));
}
