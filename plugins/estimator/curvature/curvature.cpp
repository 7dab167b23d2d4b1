#include "core/learn/change_cap.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"
#include "plugins/estimator/curvature/curvature_step.hpp"

#include <cmath>

namespace jlcm {
namespace {

struct CurvatureOptions {
    double trust = 0.01;
    double damping = 1.0;
    double momentum = 0.9;
    StartMargin margin{};
    void fields(Fields& v) {
        v("trust", trust,
          Doc{"The most that a weight's latent number moves in a step, in spacings. All weights step at once, "
              "as if each were alone; the bound keeps that from overshooting."},
          Range{0.0, 1.0});
        v("damping", damping,
          Doc{"Share of the mean curvature of a row that is added to each weight's, since estimates near zero "
              "would ask for endless steps."},
          Range{0.0, 1e6});
        v("momentum", momentum, Doc{"Decay of the mean gradient."}, Range{0.0, 0.9999});
        margin.fields(v);
    }
};

/// One latent number a weight; steps to the codeword that minimises the loss's quadratic model.
class CurvatureLearner final : public MappingLearner {
  public:
    CurvatureLearner(Tensor latent, const CurvatureOptions& options)
        : latent_(std::move(latent)), first_(Tensor::zeros(latent_.shape())), options_(options) {}

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& /*backend*/) override {
        const double correction = 1.0 - std::pow(options_.momentum, static_cast<double>(step.number + 1));
        const CurvatureStep curvature{.trust = static_cast<float>(options_.trust * step.rate_factor),
                                      .damping = static_cast<float>(options_.damping),
                                      .beta1 = static_cast<float>(options_.momentum),
                                      .correction1 = static_cast<float>(1.0 / correction)};
        step_capped(matrix, latent_, step.most, jumps.jumps,
                    [&](const CodedMatrix& coded, std::vector<std::int64_t>& counts) {
                        curvature_step(coded, step.gradient, curvature, step.curvature, latent_, first_,
                                       counts);
                    });
    }
    void relabel(const CompressedMatrix&, const GroupMap&, const Tensor&) override {}
    Tensor position() override { return latent_; }
    std::vector<NamedTensor> state() override {
        return {{"latent", latent_}, {"latent.first_moment", first_}};
    }

  private:
    Tensor latent_;
    Tensor first_;
    CurvatureOptions options_;
};

class Curvature final : public Estimator {
  public:
    using Options = CurvatureOptions;
    explicit Curvature(const Options& options) : options_(options) {}

    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return std::make_unique<CurvatureLearner>(latent_in_cells(matrix, target, options_.margin), options_);
    }
    /// Latent, mean gradient, and the curvature that the objective keeps for it.
    double bytes_per_weight(const CodeShape& /*codes*/) const override { return 3 * sizeof(float); }
    bool is_placed() const override { return true; }
    bool needs_curvature() const override { return true; }

  private:
    Options options_;
};

const Registrar<Estimator, Curvature> registrar{
    "curvature",
    "One latent number per weight, moved towards the codeword that minimises a quadratic model of the loss.",
    "ours; docs/method.md"};

}  // namespace
}  // namespace jlcm
