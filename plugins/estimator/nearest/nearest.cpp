#include "core/learn/change_cap.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"
#include "core/learn/optimizer.hpp"
#include "plugins/estimator/nearest/nearest_step.hpp"
#include "plugins/estimator/nearest/nearest_vectors.hpp"

namespace jlcm {
namespace {

struct NearestOptions {
    double rate = 0.02;
    StartMargin margin{};
    void fields(Fields& v) {
        v("rate", rate,
          Doc{"Adam step of a weight's latent number, in units of its codebook's spacing. Higher moves more "
              "weights; above 0.05 short runs do not recover.",
              "docs/method.md"},
          Range{0.0, 1.0});
        margin.fields(v);
    }
};

/// One latent number per weight, mapped to the nearest codeword: only neighbours can be reached in a step.
class NearestLearner final : public MappingLearner {
  public:
    NearestLearner(Tensor latent, double rate)
        : latent_(std::move(latent)),
          first_(Tensor::zeros(latent_.shape())),
          second_(Tensor::zeros(latent_.shape())),
          rate_(rate) {}

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& /*backend*/) override {
        const AdamStep adam = adam_step(step.number, rate_ * step.rate_factor);
        step_capped(matrix, latent_, step.most, jumps.jumps,
                    [&](const CodedMatrix& coded, std::vector<std::int64_t>& counts) {
                        nearest_step(coded, step.gradient, adam, latent_, first_, second_, counts);
                    });
    }
    void relabel(const CompressedMatrix&, const GroupMap&, const Tensor&) override {}
    Tensor position() override { return latent_; }
    std::vector<NamedTensor> state() override {
        return {{"latent", latent_}, {"latent.first_moment", first_}, {"latent.second_moment", second_}};
    }

  private:
    Tensor latent_;
    Tensor first_;
    Tensor second_;
    double rate_;
};

class Nearest final : public Estimator {
  public:
    using Options = NearestOptions;
    explicit Nearest(const Options& options) : options_(options) {}

    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return std::make_unique<NearestLearner>(latent_in_cells(matrix, target, options_.margin),
                                                options_.rate);
    }
    std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix& matrix,
                                                        const Tensor& target) const override {
        return make_nearest_vectors(matrix, target, options_.margin, options_.rate);
    }
    bool takes_vectors() const override { return true; }
    double bytes_per_weight(const CodeShape& /*codes*/) const override { return 3 * sizeof(float); }
    bool is_placed() const override { return true; }

  private:
    Options options_;
};

const Registrar<Estimator, Nearest> registrar{"nearest",
                                              "One latent number per weight, moved by Adam and mapped to the "
                                              "nearest codeword: the proximal rule taken to its end.",
                                              "ours; docs/method.md"};

}  // namespace
}  // namespace jlcm
