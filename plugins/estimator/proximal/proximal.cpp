#include "core/backend/cpu/isa.hpp"
#include "core/learn/vector_score_learner.hpp"
#include "plugins/estimator/proximal/proximal_kernels.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(ProximalKernels, proximal)

namespace {

enum class Form : std::uint8_t { inverse, exponential, adjacent };
EnumNames<Form> enum_names(Form /*tag*/) {
    return {{Form::inverse, "inverse", "1 / |d|"},
            {Form::exponential, "exponential", "exp(-|d| / decay)"},
            {Form::adjacent, "adjacent", "1 for the two neighbours, 0 for all others; jumps of one only"}};
}

ScoreKernels kernels_of(Form form) {
    const ProximalKernels& kernels = JLCM_SELECT_KERNELS(proximal);
    switch (form) {
        case Form::inverse:
            return kernels.inverse;
        case Form::exponential:
            return kernels.exponential;
        case Form::adjacent:
            break;
    }
    return kernels.adjacent;
}

struct ProximalOptions : ScoreOptions {
    Form form = Form::inverse;
    double decay = 1.0;
    void fields(Fields& v) {
        v("form", form,
          Doc{"How a candidate's weight falls with its distance d from the present codeword, in spacings.",
              "docs/method.md"});
        v("decay", decay, Doc{"Distance over which exponential falls by e, in spacings."}, above(0.0));
        ScoreOptions::fields(v);
    }
};

class Proximal final : public Estimator {
  public:
    using Options = ProximalOptions;
    explicit Proximal(const Options& options) : options_(options) {
        // More than the neighbours have no use for a score.
        if (options_.form == Form::adjacent) options_.window = 3;
    }
    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return make_score_learner(matrix, target, kernels_of(options_.form).numbers, options_,
                                  [decay = options_.decay](double) { return decay; });
    }
    std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix& matrix,
                                                        const Tensor& target) const override {
        if (!takes_vectors()) return Estimator::start_vectors(matrix, target);
        return make_vector_score_learner(matrix, target, kernels_of(options_.form).vectors, options_,
                                         [decay = options_.decay](double) { return decay; });
    }
    bool takes_vectors() const override { return options_.form != Form::adjacent; }
    double bytes_per_weight(const CodeShape& codes) const override {
        return options_.bytes_per_weight(codes);
    }
    bool is_placed() const override { return true; }
    std::string position_options() const override { return options_.of_positions(); }

  private:
    Options options_;
};

const Registrar<Estimator, Proximal> registrar{
    "proximal",
    "A candidate's gradient falls with its distance from the present codeword: the search stays near.",
    "the paper's idea, the forms are ours; docs/method.md"};

}  // namespace
}  // namespace jlcm
