#include "core/store/stages.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"

#include <algorithm>
#include <utility>

namespace jlcm {

Stages::Timer::Timer(Stages& stages, std::string name) : stages_(stages) {
    stages_.charge();
    (void)stages_.stage(name);
    stages_.active_.push_back(std::move(name));
}

Stages::Timer::~Timer() {
    stages_.charge();
    stages_.active_.pop_back();
}

void Stages::charge() {
    const double now = now_seconds();
    if (!active_.empty()) {
        Stage& current = stage(active_.back());
        current.seconds += now - charged_until_;
        current.peak = std::max(current.peak, peak_memory_bytes());
    }
    charged_until_ = now;
}

void Stages::found_in_cache(double bytes, double seconds) {
    ensure(!active_.empty(), "no stage took {} bytes from the cache", bytes);
    Stage& current = stage(active_.back());
    ++current.cached_entries;
    current.cached_bytes += bytes;
    current.cached_seconds += seconds;
}

Stages::Stage& Stages::stage(const std::string& name) {
    const auto found = std::ranges::find(stages_, name, &Stage::name);
    if (found != stages_.end()) return *found;
    stages_.push_back({.name = name});
    return stages_.back();
}

nlohmann::json Stages::to_json() const {
    auto json = nlohmann::json::array();
    for (const Stage& each : stages_) {
        json.push_back({{"name", each.name}, {"seconds", each.seconds}, {"peak_memory_bytes", each.peak}});
        if (each.cached_entries > 0)
            json.back()["cached"] = {{"entries", each.cached_entries},
                                     {"bytes", static_cast<std::uint64_t>(each.cached_bytes)},
                                     {"seconds", each.cached_seconds}};
    }
    return json;
}

void Stages::add(const nlohmann::json& json) {
    for (const auto& each : json) {
        Stage& own = stage(each.at("name"));
        own.seconds += each.at("seconds").get<double>();
        own.peak = std::max(own.peak, each.at("peak_memory_bytes").get<std::uint64_t>());
        if (const auto cached = each.find("cached"); cached != each.end()) {
            own.cached_entries += cached->at("entries").get<std::int64_t>();
            own.cached_bytes += cached->at("bytes").get<double>();
            own.cached_seconds += cached->at("seconds").get<double>();
        }
    }
}

Stages Stages::since(const Stages& before) const {
    Stages rest = *this;
    for (const Stage& former : before.stages_) {
        Stage& own = rest.stage(former.name);
        own.seconds -= former.seconds;
        own.cached_entries -= former.cached_entries;
        own.cached_bytes -= former.cached_bytes;
        own.cached_seconds -= former.cached_seconds;
    }
    std::erase_if(rest.stages_,
                  [](const Stage& each) { return each.seconds <= 0 && each.cached_entries == 0; });
    return rest;
}

std::string Stages::describe_cached() const {
    std::string text;
    for (const Stage& each : stages_)
        if (each.cached_entries > 0)
            text += fmt::format("{}{} {} ({:.0f} MB) in place of {}", text.empty() ? "" : ", ", each.name,
                                each.cached_entries, each.cached_bytes / 1e6,
                                format_duration(each.cached_seconds));
    return text;
}

}  // namespace jlcm
