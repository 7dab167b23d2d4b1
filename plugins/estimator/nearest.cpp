#include "core/learn/coded_matrix.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/optimizer.hpp"

#include <algorithm>

namespace jlcm {
namespace {

struct NearestOptions {
    double rate = 0.02;
    double margin = 0.1;
    void fields(Fields& v) {
        v("rate", rate,
          Doc{"Adam step of a weight's latent number, in units of its codebook's spacing. Higher moves more "
              "weights; "
              "above 0.05 short runs do not recover.",
              "docs/method.md"},
          Range{0.0, 1.0});
        v("margin", margin,
          Doc{"How far inside its codeword's cell a latent number starts at least, in units of the spacing. "
              "A solver "
              "maps many weights to a codeword that is not their nearest; without a margin the first step "
              "would "
              "undo that.",
              "docs/method.md"},
          Range{0.0, 0.5});
    }
};

/// One latent number a weight, mapped to the nearest codeword: only neighbours can be reached in a step.
class NearestLearner final : public MappingLearner {
  public:
    NearestLearner(Tensor latent, double rate)
        : latent_(std::move(latent)),
          first_(Tensor::zeros(latent_.shape())),
          second_(Tensor::zeros(latent_.shape())),
          rate_(rate) {}

    void step(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t step, double rate_factor,
              JumpHistogram& jumps, Backend& backend) override {
        backend.nearest_step(matrix, gradient, adam_step(step, rate_ * rate_factor), latent_, first_, second_,
                             jumps.jumps);
    }
    void relabel(const Layout&, const std::vector<std::int32_t>&, const Tensor&) override {}
    std::vector<NamedTensor> state() override {
        return {{"latent", latent_}, {"latent.first_moment", first_}, {"latent.second_moment", second_}};
    }

  private:
    Tensor latent_;
    Tensor first_;
    Tensor second_;
    double rate_;
};

/// The original weight, moved into the cell of the codeword that it is mapped to, `inset` away from its
/// borders or, in a narrow cell, to the codeword.
float start_in_cell(float weight, const float* table, int codewords, int code, float inset) {
    if (code > 0) {
        const float low = 0.5F * (table[code - 1] + table[code]) + inset;
        if (weight < low) return std::min(low, table[code]);
    }
    if (code + 1 < codewords) {
        const float high = 0.5F * (table[code] + table[code + 1]) - inset;
        if (weight > high) return std::max(high, table[code]);
    }
    return weight;
}

class Nearest final : public Estimator {
  public:
    using Options = NearestOptions;
    explicit Nearest(const Options& options) : options_(options) {}

    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        const Tensor tables = group_tables(matrix);
        const auto row_groups = matrix.layout.row_group_of_rows();
        const CodedMatrix coded = coded_matrix(matrix, tables, row_groups);
        Tensor latent = Tensor::empty({coded.rows, coded.cols});
        for (std::int64_t i = 0; i < latent.size(); ++i) {
            const std::int64_t group =
                row_groups[static_cast<std::size_t>(i / coded.cols)] * coded.segments() +
                i % coded.cols / coded.segment;
            const float* table = coded.tables + group * coded.codewords;
            const float spacing =
                (table[coded.codewords - 1] - table[0]) / static_cast<float>(coded.codewords - 1);
            latent.data<float>()[i] =
                start_in_cell(target.data<float>()[i], table, coded.codewords, coded.codes[i],
                              static_cast<float>(options_.margin) * spacing);
        }
        return std::make_unique<NearestLearner>(std::move(latent), options_.rate);
    }
    double bytes_per_weight(int) const override { return 3 * sizeof(float); }

  private:
    Options options_;
};

const Registrar<Estimator, Nearest> registrar{"nearest",
                                              "One latent number a weight, moved by Adam and mapped to the "
                                              "nearest codeword: the proximal rule taken to its end.",
                                              "ours; docs/method.md"};

}  // namespace
}  // namespace jlcm
