#include "core/experiment/stages.hpp"

#include "core/base/log.hpp"

#include <algorithm>

namespace jlcm {

Stages::Timer::Timer(Stages& stages, std::string name)
    : stages_(stages), name_(std::move(name)), start_(now_seconds()) {
    (void)stages_.stage(name_);
}

Stages::Timer::~Timer() {
    Stage& stage = stages_.stage(name_);
    stage.seconds += now_seconds() - start_;
    stage.peak = std::max(stage.peak, peak_memory_bytes());
}

Stages::Stage& Stages::stage(const std::string& name) {
    const auto found = std::ranges::find(stages_, name, &Stage::name);
    if (found != stages_.end()) return *found;
    stages_.push_back({.name = name});
    return stages_.back();
}

nlohmann::json Stages::to_json() const {
    auto json = nlohmann::json::array();
    for (const Stage& each : stages_)
        json.push_back({{"name", each.name}, {"seconds", each.seconds}, {"peak_memory_bytes", each.peak}});
    return json;
}

void Stages::restore(const nlohmann::json& json) {
    stages_.clear();
    for (const auto& each : json)
        stages_.push_back({each.at("name"), each.at("seconds"), each.at("peak_memory_bytes")});
}

}  // namespace jlcm
