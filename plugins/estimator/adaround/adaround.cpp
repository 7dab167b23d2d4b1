#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"
#include "plugins/solver/adaround/learned_rounding.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

struct AdaRoundOptions {
    double rate = 0.05;
    double regulariser = 10;
    double warmup = 0.2;
    int first_beta = 15;
    int last_beta = 2;
    void fields(Fields& v) {
        v("rate", rate,
          Doc{"Adam step of a weight's rounding variable. It does not follow the schedule: the regulariser "
              "does its work in the last steps."},
          Range{0.0, 1.0});
        v("regulariser", regulariser,
          Doc{"Weight of what drives every weight to one of its two codewords, in units of the objective's "
              "gradient (its root mean square over the warm-up)."},
          Range{0.0, 1e6});
        v("warmup", warmup, Doc{"Share of the steps before that."}, Range{0.0, 1.0});
        v("first_beta", first_beta, Doc{"The regulariser's exponent falls from here ..."}, Range{2, 100});
        v("last_beta", last_beta, Doc{"... to here. Low exponents pull harder on undecided weights."},
          Range{2, 100});
    }
};

/// A weight between two neighbouring codewords, softly in the forward; stored as the nearer one.
class AdaRoundLearner final : public MappingLearner {
  public:
    AdaRoundLearner(Tensor low_codes, Tensor v, const AdaRoundOptions& options)
        : low_codes_(std::move(low_codes)),
          v_(std::move(v)),
          first_(Tensor::zeros(v_.shape())),
          second_(Tensor::zeros(v_.shape())),
          unit_(Tensor::zeros({2})),
          options_(options) {}

    Tensor soft_weights(const CodedMatrix& matrix, Backend& /*backend*/) const override {
        Tensor weights = Tensor::empty({matrix.rows(), matrix.cols()});
        soft_rounding(matrix, low_codes_, v_, weights);
        return weights;
    }

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& backend) override {
        const bool regularised = step.progress >= options_.warmup;
        if (!regularised || unit_.data<float>()[1] == 0) measure_unit(matrix, step.gradient, backend);
        const double done =
            regularised ? (step.progress - options_.warmup) / std::max(1e-9, 1.0 - options_.warmup) : 0.0;
        RoundingStep rounding =
            rounding_step_at(step.number, options_.rate, options_.first_beta, options_.last_beta, done);
        rounding.slope = 1;
        if (regularised)
            rounding.regulariser =
                static_cast<float>(options_.regulariser) * unit_.data<float>()[0] / unit_.data<float>()[1];
        rounding_step(matrix, low_codes_, step.gradient, rounding, v_, first_, second_, jumps.jumps);
    }
    void relabel(const CompressedMatrix&, const GroupMap&, const Tensor&) override {}
    std::vector<NamedTensor> state() override {
        return {{"low_codes", low_codes_},
                {"rounding", v_},
                {"rounding.first_moment", first_},
                {"rounding.second_moment", second_},
                {"rounding.unit", unit_}};
    }

  private:
    /// Root mean square gradient times mean gap: what the objective asks of a rounding.
    void measure_unit(const CodedMatrix& matrix, const Tensor& gradient, Backend& backend) {
        const std::int64_t tables = matrix.groups->groups();
        double gap = 0;
        for (std::int64_t t = 0; t < tables; ++t)
            gap += static_cast<double>(matrix.table(t)[matrix.codewords - 1] - matrix.table(t)[0]) /
                   (matrix.codewords - 1) / static_cast<double>(tables);
        const double rms = std::sqrt(backend.sum_of_squares(gradient) / static_cast<double>(gradient.size()));
        unit_.data<float>()[0] += static_cast<float>(rms * gap);
        unit_.data<float>()[1] += 1;
    }

    Tensor low_codes_;  ///< uint8 [rows, cols]
    Tensor v_, first_, second_;
    Tensor unit_;  ///< sum over the warm-up's steps, and their number
    AdaRoundOptions options_;
};

class AdaRound final : public Estimator {
  public:
    using Options = AdaRoundOptions;
    explicit AdaRound(const Options& options) : options_(options) {}

    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        const Shape shape{matrix.layout.rows, matrix.layout.cols};
        Tensor low_codes = Tensor::empty(shape, DType::u8);
        Tensor v = Tensor::empty(shape);
        for_placed_weights(matrix, target, [&](const PlacedWeight& weight) {
            const auto& values = weight.values;
            // Between the codewords around it, or, where a solver chose another, between that and the next
            // one towards the weight.
            const auto around = static_cast<int>(
                std::upper_bound(values.begin() + 1, values.end() - 1, weight.target) - values.begin() - 1);
            const int low = std::clamp(around, std::max(0, weight.code - 1),
                                       std::min(static_cast<int>(values.size()) - 2, weight.code));
            const auto at = static_cast<std::size_t>(low);
            low_codes.data<std::uint8_t>()[weight.index] = static_cast<std::uint8_t>(low);
            v.data<float>()[weight.index] =
                rounding_variable(values[at], values[at + 1] - values[at], weight.target);
        });
        return std::make_unique<AdaRoundLearner>(std::move(low_codes), std::move(v), options_);
    }
    /// Rounding variable and two moments, and the lower code.
    double bytes_per_weight(const CodeShape& /*codes*/) const override { return 3 * sizeof(float) + 1; }

  private:
    Options options_;
};

const Registrar<Estimator, AdaRound> registrar{
    "adaround",
    "Each weight softly between two neighbouring codewords, driven to one of them: BRECQ on the block "
    "objective. The published method leaves the codebooks as they are (codebook_rate: 0).",
    "AdaRound, arXiv 2004.10568; BRECQ, arXiv 2102.05426"};

}  // namespace
}  // namespace jlcm
