#include "core/compress/training.hpp"

#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/learn/diverged.hpp"
#include "core/store/saved_state.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace jlcm {
namespace {

bool fits(const std::vector<NamedTensor>& saved, const std::vector<NamedTensor>& now) {
    return std::ranges::equal(saved, now, [](const NamedTensor& a, const NamedTensor& b) {
        return a.name == b.name && a.tensor.shape() == b.tensor.shape() &&
               a.tensor.dtype() == b.tensor.dtype();
    });
}

/// Takes up what the file holds, if it fits.
void resume(Trainable& learner, Metrics& metrics, Stages& stages, const std::filesystem::path& path) {
    const auto saved = load_state(path);
    if (!saved) return;
    auto state = learner.state();
    if (!fits(saved->tensors, state)) {
        log_warning("{} does not fit this run and is not used", path.string());
        return;
    }
    for (std::size_t i = 0; i < state.size(); ++i)
        std::ranges::copy(saved->tensors[i].tensor.bytes(), state[i].tensor.bytes().begin());
    learner.restored(std::stoll(saved->words.at("steps")));
    metrics.append(saved->words.at("metrics"));
    stages.add(nlohmann::json::parse(saved->words.at("stages")));
}

}  // namespace

void train(Trainable& learner, Metrics& metrics, Stages& stages, const TrainingOptions& options) {
    const std::size_t metrics_begin = metrics.position();
    const Stages stages_before = stages;
    resume(learner, metrics, stages, options.state_file);
    std::optional<Stages::Timer> timer(std::in_place, stages, options.stage);
    Progress progress(options.title, learner.total_steps(), "steps");
    double saved_at = now_seconds();
    const auto save = [&] {
        timer.emplace(stages, options.stage);  // what it has measured so far counts
        save_state(options.state_file, {.words = {{"steps", std::to_string(learner.steps_done())},
                                                  {"metrics", metrics.since(metrics_begin)},
                                                  {"stages", stages.since(stages_before).to_json().dump()}},
                                        .tensors = learner.state()});
        saved_at = now_seconds();
    };
    double loss = 0;
    while (learner.steps_done() < learner.total_steps()) {
        const bool stop = interrupt_requested();
        if (stop || now_seconds() - saved_at > 60 * options.checkpoint_minutes) save();
        if (stop) throw_if_interrupted();
        nlohmann::json record = options.labels;
        record["stage"] = options.stage;
        try {
            record.update(learner.step());
        } catch (Diverged& diverged) {
            diverged.add(record);
            record["step"] = learner.steps_done();
            record["loss"] = nullptr;
            metrics.write(record);
            throw;
        }
        metrics.write(record);
        loss = record.at("loss").get<double>();
        progress.update(learner.steps_done(), fmt::format("loss {:.4g}", loss));
    }
    learner.finish();
    log_debug("{}: {} steps, loss {:.4g}", options.title, learner.total_steps(), loss);
}

}  // namespace jlcm
