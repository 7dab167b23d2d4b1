#include "core/backend/cpu/isa.hpp"
#include "core/learn/vector_score_learner.hpp"

namespace jlcm {

JLCM_DECLARE_KERNELS(ScoreKernels, straight_through)

namespace {

class NaiveSte final : public Estimator {
  public:
    using Options = ScoreOptions;
    explicit NaiveSte(const Options& options) : options_(options) {}
    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return make_score_learner(matrix, target, JLCM_SELECT_KERNELS(straight_through).numbers, options_,
                                  [](double) { return 1.0; });
    }
    std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix& matrix,
                                                        const Tensor& target) const override {
        return make_vector_score_learner(matrix, target, JLCM_SELECT_KERNELS(straight_through).vectors,
                                         options_, [](double) { return 1.0; });
    }
    bool takes_vectors() const override { return true; }
    double bytes_per_weight(const CodeShape& codes) const override {
        return options_.bytes_per_weight(codes);
    }
    bool is_placed() const override { return true; }
    std::string position_options() const override { return options_.of_positions(); }

  private:
    Options options_;
};

const Registrar<Estimator, NaiveSte> registrar{
    "naive_ste",
    "Straight-through gradient of a one-hot choice: grows with the codeword's size, so that jumps are long.",
    "Bengio et al., arXiv 1308.3432, 2013; the paper's default to improve on"};

}  // namespace
}  // namespace jlcm
