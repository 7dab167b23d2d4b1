// An evaluation that reports what it is told to: the records of a plugin that nobody here has seen.

#include "core/base/error.hpp"
#include "core/model/evaluation.hpp"

#include <string>

namespace {

using namespace jlcm;
using nlohmann::json;

struct ToldOptions {
    std::string title = "told";
    std::string metric = "points";
    std::string protocol = "null";
    std::string value = "1";
    std::string more = "null";
    std::string items = "null";

    void fields(Fields& v) {
        v("title", title, Doc{"Its title."});
        v("metric", metric, Doc{"Its metric."});
        v("protocol", protocol, Doc{"JSON."});
        v("value", value, Doc{"A number, nan or inf."});
        v("more", more, Doc{"JSON: further figures of each model."});
        v("items", items, Doc{"JSON: items of each model."});
    }
};

class Told final : public Evaluation {
  public:
    using Options = ToldOptions;
    explicit Told(Options options) : options_(std::move(options)) {}

    [[nodiscard]] json data(const Directories& /*directories*/) const override { return "nothing"; }
    [[nodiscard]] Workload workload(const ModelFacts& /*model*/,
                                    const Directories& /*directories*/) const override {
        return {};
    }
    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& /*directories*/) const override {
        EvaluationResult result{.title = options_.title,
                                .metric = options_.metric,
                                .higher_is_better = true,
                                .protocol = json::parse(options_.protocol),
                                .models = {},
                                .expected = {}};
        for (std::size_t m = 0; m < models.models.size(); ++m)
            result.models.push_back({.value = std::stod(options_.value),
                                     .standard_error = {},
                                     .kl = {},
                                     .agreement = {},
                                     .more = json::parse(options_.more),
                                     .items = json::parse(options_.items)});
        return result;
    }

  private:
    Options options_;
};

const Registrar<Evaluation, Told> registrar{"told", "Reports what it is told to."};

}  // namespace
