#include "core/backend/cpu/isa.hpp"
#include "core/learn/vector_score_learner.hpp"

#include <cmath>

namespace jlcm {

JLCM_DECLARE_KERNELS(ScoreKernels, softmax)

namespace {

struct SoftmaxOptions : ScoreOptions {
    double temperature = 0.5;
    double final_temperature = 0.05;
    void fields(Fields& v) {
        v("temperature", temperature,
          Doc{"T of softmax(scores / T) in the first step, in spacings. High: all candidates move; low: only "
              "those nearly chosen."},
          above(0.0));
        v("final_temperature", final_temperature,
          Doc{"T after the last step; it falls by the same factor in each."}, above(0.0));
        ScoreOptions::fields(v);
    }
};

/// The forward is hard (the codeword of the largest score), so every loss is that of the mapping as it would
/// be stored; the softmax shapes the gradient only.
class Softmax final : public Estimator {
  public:
    using Options = SoftmaxOptions;
    explicit Softmax(const Options& options) : options_(options) {}
    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return make_score_learner(matrix, target, JLCM_SELECT_KERNELS(softmax).numbers, options_,
                                  temperature());
    }
    std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix& matrix,
                                                        const Tensor& target) const override {
        return make_vector_score_learner(matrix, target, JLCM_SELECT_KERNELS(softmax).vectors, options_,
                                         temperature());
    }
    bool takes_vectors() const override { return true; }
    double bytes_per_weight(const CodeShape& codes) const override {
        return options_.bytes_per_weight(codes);
    }
    bool is_placed() const override { return true; }
    std::string position_options() const override { return options_.of_positions(); }

  private:
    [[nodiscard]] Temperature temperature() const {
        return [options = options_](double progress) {
            return options.temperature * std::pow(options.final_temperature / options.temperature, progress);
        };
    }

    Options options_;
};

const Registrar<Estimator, Softmax> registrar{
    "softmax", "Gradient of a softmax over the candidates, temperature falling; the forward stays hard.",
    "Cho et al., DKM: differentiable k-means clustering layer, ICLR 2022 (there with a soft forward)"};

}  // namespace
}  // namespace jlcm
