// What the pipeline reads of the data: declared by the methods, and by the options that add to it.

#include "core/compress/block_pass.hpp"
#include "core/compress/cost.hpp"
#include "core/compress/second_moments.hpp"
#include "tests/support/tiny_llama.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

CompressOptions with_solver(const char* solver, const char* codebook_init = "kmeans") {
    CompressOptions options;
    options.solver = Choice<Solver>::parse(solver);
    options.codebook_init = Choice<CodebookInit>::parse(codebook_init);
    return options;
}

/// The stages that say that they take something, by name.
std::vector<std::string> stages_of(const CompressOptions& options) {
    const Model model = test::tiny_llama();
    const auto plan = plan_compression(model.graph(), options);
    const GraphSizes sizes(model.graph(), {1, 8}, DType::f32);
    const CalibrationOptions calibration;
    std::vector<std::string> names;
    for (const StageCost& stage : pipeline_costs({sizes, options, calibration, plan}))
        names.push_back(stage.name);
    return names;
}

}  // namespace

TEST_CASE("methods on weights alone need no data, and their plans have no calibration") {
    for (const char* solver : {"rtn", "{type: rtn, fit: range}"}) {
        const CompressOptions options = with_solver(solver);
        CHECK_FALSE(
            options.solving_needs().any());  // whatever the initialiser reads: rtn starts from the layout
        CHECK_FALSE(options.needs_samples());
        CHECK(stages_of(options) == std::vector<std::string>{"solve"});
    }
    const CompressOptions nearest = with_solver("nearest_codeword", "{type: kmeans, weights: none}");
    CHECK_FALSE(nearest.needs_samples());
    CHECK_FALSE(with_solver("nearest_codeword", "uniform").needs_samples());
}

TEST_CASE("methods say what they read") {
    CHECK(with_solver("lnq", "uniform").solving_needs().second_moments);
    CHECK(with_solver("nearest_codeword").solving_needs().second_moments);
    CHECK(with_solver("{type: rtn, fit: least_squares}").solving_needs().second_moments);
    CHECK(with_solver("nearest_codeword", "{type: uniform, fit: least_squares}")
              .solving_needs()
              .second_moments);
    const DataNeeds squeezellm = with_solver("squeezellm").solving_needs();
    CHECK(squeezellm.fisher);
    CHECK_FALSE(squeezellm.moments());
    CHECK(stages_of(with_solver("squeezellm")) ==
          std::vector<std::string>{"gradients", "calibrate", "solve"});
    CHECK(with_solver("nearest_codeword", "{type: kmeans, weights: fisher}").solving_needs().fisher);
}

TEST_CASE("options add to what the methods read") {
    CompressOptions options = with_solver("rtn");
    options.solver_inputs = Inputs::compressed;
    CHECK_FALSE(options.needs_samples());
    CHECK(needs_former_blocks(options).empty());  // nothing looks at the inputs
    options.solver_target = SolverTarget::original_output;
    CHECK(options.solving_needs().original_moments);
    CHECK(needs_former_blocks(options) == "compress.solver_inputs: compressed");

    CompressOptions learned = with_solver("rtn");
    learned.learn.emplace();
    CHECK(learned.learning_needs().activations);
    CHECK(learned.needs_calibration());
    CHECK(learned.why_samples() == std::vector<std::string>{"compress.learn"});
    learned.learn->objective = Choice<Objective>("layer");
    CHECK_FALSE(learned.learns_blocks());
    CHECK(learned.observes(Inputs::original));

    CompressOptions weighted = with_solver("lnq");
    weighted.output_weighting.emplace();
    CHECK(weighted.solving_needs().row_sets == 4);
    CHECK(weighted.solving_needs().gradients());

    CompressOptions distilled = with_solver("rtn");
    distilled.distill.emplace();
    CHECK(distilled.needs_samples());
    CHECK_FALSE(distilled.needs_calibration());
}

TEST_CASE("second moments that nobody reads have no bytes") {
    const Model model = test::tiny_llama();
    const Block& block = model.graph().blocks().front();
    const double one = second_moment_bytes(model.graph(), block, {.second_moments = true});
    CHECK(one > 0);
    CHECK(second_moment_bytes(model.graph(), block, {.fisher = true}) == 0);
    CHECK(second_moment_bytes(model.graph(), block, {.second_moments = true, .original_moments = true}) ==
          2 * one);
}
