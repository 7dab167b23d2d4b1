// Training through interruptions: any number of restarts gives what one process gives.

#include "core/base/error.hpp"
#include "core/compress/training.hpp"
#include "core/learn/diverged.hpp"
#include "core/store/saved_state.hpp"
#include "tests/support/temporary.hpp"

#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// x <- x / 2 + step; fails after some steps, as if the process had been killed.
class Halving final : public Trainable {
  public:
    explicit Halving(std::int64_t steps, std::int64_t fails_after = 1000)
        : steps_(steps), fails_after_(fails_after) {}

    std::int64_t total_steps() const override { return steps_; }
    std::int64_t steps_done() const override { return done_; }
    nlohmann::json step() override {
        if (fails_after_-- == 0) throw std::runtime_error("killed");
        float& x = *x_.data<float>();
        x = x / 2 + static_cast<float>(done_);
        ++done_;
        return {{"step", done_ - 1}, {"loss", x}};
    }
    std::vector<NamedTensor> state() override { return {{"x", x_}}; }
    void restored(std::int64_t steps) override { done_ = steps; }
    void finish() override { finished = true; }

    [[nodiscard]] float x() const { return *x_.data<float>(); }
    bool finished = false;

  private:
    std::int64_t steps_;
    std::int64_t fails_after_;
    std::int64_t done_ = 0;
    Tensor x_ = Tensor::zeros({1});
};

TrainingOptions options(const std::filesystem::path& directory, double minutes) {
    return {.title = "halving",
            .stage = "test",
            .labels = {{"block", 3}},
            .state_file = directory / "state",
            .checkpoint_minutes = minutes};
}

}  // namespace

TEST_CASE("a training that dies again and again ends as one that does not, its metrics too") {
    const test::TemporaryDirectory directory;
    Halving whole(20);
    Stages whole_stages;
    Metrics expected(directory.path() / "expected.jsonl");
    train(whole, expected, whole_stages, options(directory.path() / "whole", 1000));
    CHECK(whole.finished);

    for (int tries = 0; tries < 100; ++tries) {
        Halving learner(20, 3);
        Stages stages;
        Metrics metrics(directory.path() / "metrics.jsonl");
        metrics.append("{\"stage\":\"before\"}\n");
        try {
            train(learner, metrics, stages, options(directory.path(), 0));
        } catch (const std::runtime_error&) {
            continue;
        }
        CHECK(tries > 5);
        CHECK(learner.finished);
        CHECK(learner.x() == whole.x());
        REQUIRE(stages.to_json().size() == 1);
        CHECK(stages.to_json()[0].at("name") == "test");
        CHECK(metrics.since(0) == "{\"stage\":\"before\"}\n" + expected.since(0));
        return;
    }
    FAIL("it never ended");
}

TEST_CASE("learning that diverges says where, in the metrics too, and finishes nothing") {
    class Diverging final : public Trainable {
      public:
        std::int64_t total_steps() const override { return 5; }
        std::int64_t steps_done() const override { return done_; }
        nlohmann::json step() override {
            require_converging(done_ == 2 ? std::numeric_limits<double>::infinity() : 1.0, "the loss of it",
                               done_);
            return {{"step", done_++}, {"loss", 1.0}};
        }
        std::vector<NamedTensor> state() override { return {}; }
        void restored(std::int64_t steps) override { done_ = steps; }
        void finish() override { FAIL("finished"); }

      private:
        std::int64_t done_ = 0;
    };
    const test::TemporaryDirectory directory;
    Diverging learner;
    Stages stages;
    Metrics metrics(directory.path() / "metrics.jsonl");
    try {
        train(learner, metrics, stages, options(directory.path(), 1000));
        FAIL("it went on");
    } catch (const Diverged& diverged) {
        CHECK(
            diverged.record() ==
            nlohmann::json{
                {"stage", "test"}, {"block", 3}, {"step", 2}, {"what", "the loss of it"}, {"value", "inf"}});
        CHECK_THAT(diverged.what(), Catch::Contains("the loss of it is inf in step 2"));
    }
    CHECK_THAT(metrics.since(0),
               Catch::EndsWith("{\"block\":3,\"loss\":null,\"stage\":\"test\",\"step\":2}\n"));
}

TEST_CASE("a state of something else is not taken up") {
    const test::TemporaryDirectory directory;
    save_state(directory.path() / "state", {.words = {{"steps", "5"}, {"metrics", ""}, {"stages", "[]"}},
                                            .tensors = {{"x", Tensor::zeros({2})}}});
    Halving learner(3);
    Stages stages;
    Metrics metrics(directory.path() / "metrics.jsonl");
    train(learner, metrics, stages, options(directory.path(), 1000));
    CHECK(learner.steps_done() == 3);
    CHECK(std::ranges::count(metrics.since(0), '\n') == 3);
}

TEST_CASE("two processes cannot hold one run") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "lock";
    {
        const RunLock first(path);
        CHECK_THROWS_WITH(RunLock(path), Catch::Contains("another process works on this run"));
    }
    CHECK_NOTHROW(RunLock(path));
}
