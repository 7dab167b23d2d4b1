#include "core/model/noise_floor.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/model/divergence_distribution.hpp"

#include <string>

namespace jlcm {
namespace {

constexpr const char* prefix = "noise_floor_";

/// `own`: the record of the original, or of one output of it. `noise`: that of its second run.
void add_keys(const nlohmann::json& noise, nlohmann::json& own, DType compute) {
    const auto copy = [&](const std::string& key) {
        if (noise.contains(key)) own[prefix + key] = noise.at(key);
    };
    own[std::string(prefix) + "compute"] = name_of(compute);
    copy("kl");
    for (const std::string_view key : kl_quantiles) copy(std::string(key));
    copy("kl_by_confidence");
}

}  // namespace

void noise_floor_field(Fields& v, bool& is_wanted) {
    v("noise_floor", is_wanted,
      Doc{"Also measure the original against itself in the other type of products (float32, bfloat16): "
          "the KL that rounding alone makes. Costs a forward of the original."});
}

NoiseFloor::NoiseFloor(bool is_wanted, const EvaluatedModels& models, std::string_view evaluation)
    : models_(models.models) {
    if (!is_wanted) return;
    const BoundModel& original = *models_.front();
    if (!original.backend().has_bfloat16()) {
        log_warning("{}: no noise floor, since this machine has no unit for bfloat16", evaluation);
        return;
    }
    rounded_.emplace(original.in(other_type(original.compute())));
    models_.insert(models_.begin() + 1, &*rounded_);
}

void NoiseFloor::fold(std::vector<Figures>& figures) const {
    if (!rounded_) return;
    ensure(figures.size() == models_.size(), "{} figures of {} models", figures.size(), models_.size());
    const Figures noise = figures[1];
    figures.erase(figures.begin() + 1);
    nlohmann::json record = noise.more;
    if (noise.kl) record["kl"] = *noise.kl;
    nlohmann::json& own = figures.front().more;
    if (noise.kl) add_keys(record, own, rounded_->compute());
    if (!record.contains("outputs")) return;
    for (const auto& [name, output] : record.at("outputs").items())
        if (output.contains("kl")) add_keys(output, own.at("outputs").at(name), rounded_->compute());
}

}  // namespace jlcm
