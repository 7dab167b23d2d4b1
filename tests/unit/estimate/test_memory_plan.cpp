// Memory plans: amounts as users write them, and limits.

#include "core/base/error.hpp"
#include "core/estimate/memory_plan.hpp"
#include "tests/support/tiny_llama.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

struct Options {
    std::optional<CalibrationOptions> calibration;
    CompressOptions compress;
    Options() {
        calibration.emplace();
        calibration->sequences = 6;
        calibration->length = 4;
    }
};

double planned(const Options& options, const Model& model, const std::string& name, const std::string& what) {
    const auto matrices = plan_compression(model.graph(), options.compress);
    const RunSizes sizes{options.compress, options.calibration, model, matrices};
    for (const StageCost& stage : plan_memory(sizes, 0).stages)
        for (const auto& part : stage.parts)
            if (stage.name == name && part.what == what) return part.bytes;
    return 0;
}

}  // namespace

TEST_CASE("amounts of memory are read with their units") {
    CHECK(parse_bytes("123") == 123);
    CHECK(parse_bytes("8G") == 8e9);
    CHECK(parse_bytes("1.5GB") == 1.5e9);
    CHECK(parse_bytes("2GiB") == 2147483648.0);
    CHECK(parse_bytes("512M") == 5.12e8);
    for (const char* wrong : {"", "G", "8 apples", "-1G", "0", "nan", "inf", "8Gi", "8G "})
        CHECK_THROWS_WITH(parse_bytes(wrong), Catch::Contains("is no amount of memory"));
    CHECK(format_bytes(1.934e9) == "1.93 GB");
    CHECK(format_bytes(5.1e7) == "51 MB");
}

TEST_CASE("a plan above the limit is refused with its largest stage") {
    MemoryPlan plan;
    plan.stages = {{"calibrate", {{"activations", 2e9}, {"values", 1e8}}}, {"learn", {{"activations", 3e9}}}};
    CHECK(plan.largest().name == "learn");
    plan.require_within(3.1e9);
    CHECK_THROWS_WITH(
        plan.require_within(2.5e9),
        Catch::Contains("3.00 GB (learn)") && Catch::Contains("calibrate      2.10 GB   activations"));
}

TEST_CASE(
    "a copy of the original's inputs takes as much as the compressed model's, which nothing reads then") {
    const Model model = test::tiny_llama();
    Options spec;
    spec.compress.learn.emplace();
    const double apart = planned(spec, model, "learn", "activations");
    CHECK(apart > 0);
    spec.compress.learn->inputs = Inputs::original;
    CHECK(planned(spec, model, "learn", "activations") == apart);
    spec.compress.recalibrate_norms = true;  // reads both models'
    CHECK(planned(spec, model, "learn", "activations") == apart / 2 * 3);
}

TEST_CASE("samples are kept until the last of them has been used") {
    const Model model = test::tiny_llama();
    Options spec;
    CHECK(planned(spec, model, "calibrate", "samples") == 6 * 4 * 4);
    DistillOptions& distill = spec.compress.distill.emplace();
    distill.steps = 3;
    distill.batch = 2;
    CHECK(planned(spec, model, "calibrate", "samples") == (6 + 6) * 4 * 4);
    distill.length = 8;
    CHECK(planned(spec, model, "distill", "samples") == (6 + 12) * 4 * 4);
}

TEST_CASE(
    "gathering gradients for the mapping costs four bytes a weight, parts of a batch save activations") {
    const Model model = test::tiny_llama();
    Options spec;
    DistillOptions& distill = spec.compress.distill.emplace();
    distill.batch = 8;
    const auto gathered = [&] { return planned(spec, model, "distill", "gradients of the mapping"); };
    const auto values = [&] { return planned(spec, model, "distill", "values and their gradients"); };
    CHECK(gathered() == 0);
    const double whole = values();
    distill.batch_at_once = 2;
    CHECK(values() == Approx(whole / 4));
    CHECK(gathered() == 0);
    distill.estimator = Choice<Estimator>("nearest");
    const double estimator = planned(spec, model, "distill", "estimator");
    CHECK(gathered() == estimator / 3);
    distill.batch_at_once.reset();
    CHECK(gathered() == 0);
    distill.mapping.every = 4;
    CHECK(gathered() == estimator / 3);
    distill.estimator = Choice<Estimator>("frozen");
    CHECK(gathered() == 0);
}

TEST_CASE("a noise floor is another original, in the other type of products") {
    const Model model = test::tiny_llama();
    const Options spec;
    const auto matrices = plan_compression(model.graph(), spec.compress);
    const auto evaluated = [&](DType compute, bool has_noise_floor) {
        RunSizes sizes{spec.compress, spec.calibration, model, matrices, compute};
        sizes.longest_evaluated = 8;
        sizes.has_noise_floor = has_noise_floor;
        const StageCost stage = stage_costs(sizes).back();
        REQUIRE(stage.name == "evaluate");
        return stage.total();
    };
    for (const DType compute : {DType::f32, DType::bf16}) {
        const DType other = compute == DType::f32 ? DType::bf16 : DType::f32;
        CHECK(bound_bytes(model, other).dense > 0);
        CHECK(evaluated(compute, true) ==
              Approx(evaluated(compute, false) + bound_bytes(model, other).dense));
    }
}
