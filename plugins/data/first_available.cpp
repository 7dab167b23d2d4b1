#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/data/dataset.hpp"

namespace jlcm {
namespace {

struct FirstAvailableOptions {
    std::vector<DatasetChoice> datasets;
    void fields(Fields& v) {
        v("datasets", datasets,
          Doc{"Datasets in order of preference. Which one was taken is in the record, and figures on "
              "different texts don't compare."},
          Required{});
    }
    void validate(Problems& problems) const {
        if (datasets.empty()) problems.field("datasets", "needs at least one dataset");
    }
};

class FirstAvailable final : public Dataset {
  public:
    using Options = FirstAvailableOptions;
    explicit FirstAvailable(const Options& options) {
        for (const DatasetChoice& choice : options.datasets)
            candidates_.push_back({choice.name(), choice.make()});
    }

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return find(directories) != nullptr;
    }

    /// Where none is there, the error is that of the last one: the fallback is the one to get.
    [[nodiscard]] Data load(const Directories& directories) const override {
        const Candidate* found = find(directories);
        if (found == nullptr) found = &candidates_.back();
        Data data = found->dataset->load(directories);
        if (found != &candidates_.front())
            log_warning("{} is not on this machine: using {} instead", candidates_.front().name,
                        name_of(data));
        return data;
    }

  private:
    struct Candidate {
        std::string name;
        std::unique_ptr<Dataset> dataset;
    };
    [[nodiscard]] const Candidate* find(const Directories& directories) const {
        for (const Candidate& candidate : candidates_)
            if (candidate.dataset->is_available(directories)) return &candidate;
        return nullptr;
    }
    std::vector<Candidate> candidates_;
};

const Registrar<Dataset, FirstAvailable> registrar{"first_available",
                                                   "The first of several datasets that is on this machine."};

}  // namespace
}  // namespace jlcm
