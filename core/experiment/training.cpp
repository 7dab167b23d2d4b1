#include "core/experiment/training.hpp"

#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/experiment/saved_state.hpp"

#include <algorithm>

namespace jlcm {
namespace {

void save(Trainable& learner, const std::string& metrics, const std::filesystem::path& path) {
    save_state(path, {.words = {{"steps", std::to_string(learner.steps_done())}, {"metrics", metrics}},
                      .tensors = learner.state()});
}

bool fits(const std::vector<NamedTensor>& saved, const std::vector<NamedTensor>& now) {
    return std::ranges::equal(saved, now, [](const NamedTensor& a, const NamedTensor& b) {
        return a.name == b.name && a.tensor.shape() == b.tensor.shape() &&
               a.tensor.dtype() == b.tensor.dtype();
    });
}

void resume(Trainable& learner, Metrics& metrics, const std::filesystem::path& path) {
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
}

}  // namespace

void train(Trainable& learner, Metrics& metrics, const TrainingOptions& options) {
    const std::size_t metrics_begin = metrics.position();
    resume(learner, metrics, options.state_file);
    Progress progress(options.title, learner.total_steps(), "steps");
    double saved_at = now_seconds();
    while (learner.steps_done() < learner.total_steps()) {
        const bool stop = interrupt_requested();
        if (stop || now_seconds() - saved_at > 60 * options.checkpoint_minutes) {
            save(learner, metrics.since(metrics_begin), options.state_file);
            saved_at = now_seconds();
        }
        if (stop) throw_if_interrupted();
        nlohmann::json record = options.labels;
        record.update(learner.step());
        metrics.write(record);
        progress.update(learner.steps_done(), fmt::format("loss {:.4g}", record.at("loss").get<double>()));
    }
    learner.finish();
}

}  // namespace jlcm
