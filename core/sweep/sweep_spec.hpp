#pragma once
// What jlcm-sweep takes: a spec, and what changes from run to run. Every key is documented where it is
// declared (sweep_spec.cpp).

#include "core/plugin/choice.hpp"
#include "core/report/labels.hpp"
#include "core/sweep/launcher.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// Settings and the axes that they are varied along. Also what a named value of an axis brings.
struct SweepSettings {
    Config set = Config::map();
    Config grid = Config::map();
    Config zip = Config::map();
    void fields(Fields& v);
};

struct SweepSpec : SweepSettings {
    std::int64_t version = 1;
    std::string name = "sweep";
    Config base;
    std::vector<std::uint64_t> seeds;
    std::vector<Config> exclude;
    Choice<Launcher> launcher{"local"};
    std::vector<std::string> plugins;
    void fields(Fields& v);
};

struct Variant {
    Labels labels;
    Config spec;  ///< of the run, not decoded yet
};

/// Every run that the sweep describes, the last axis changing fastest, seeds last of all. Throws all that is
/// wrong with the sweep: unknown keys of the run's spec as axes, axes without values, zipped axes of
/// different lengths, exclusions that match no run, more than 100,000 runs.
[[nodiscard]] std::vector<Variant> expand(const SweepSpec& sweep);

}  // namespace jlcm
