#include "core/learn/estimator.hpp"
#include "core/learn/optimizer.hpp"

#include <algorithm>

namespace jlcm {
namespace {

struct NaiveOptions {
    double rate = 0.01;
    double lead = 1.0;
    void fields(Fields& v) {
        v("rate", rate,
          Doc{"Adam step of the scores. Two scores meet after lead / (2 rate) steps of one sign."},
          Range{0.0, 10.0});
        v("lead", lead,
          Doc{"How far the present codeword's score starts above the others. Less lets a short run move more "
              "weights."},
          above(0.0));
    }
};

/// K scores a weight under the straight-through estimator's gradient g c_k.
class NaiveLearner final : public MappingLearner {
  public:
    NaiveLearner(const CompressedMatrix& matrix, const NaiveOptions& options) : options_(options) {
        const std::int64_t words = matrix.layout.codewords();
        scores_ = Tensor::zeros({matrix.layout.rows, matrix.layout.cols, words});
        first_ = Tensor::zeros(scores_.shape());
        second_ = Tensor::zeros({matrix.layout.rows, matrix.layout.cols});
        for (std::int64_t i = 0; i < matrix.mapping.size(); ++i)
            scores_.data<float>()[i * words + matrix.mapping.data<std::uint8_t>()[i]] =
                static_cast<float>(options.lead);
    }

    void step(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t step, double rate_factor,
              JumpHistogram& jumps, Backend& backend) override {
        backend.straight_through_step(matrix, gradient, adam_step(step, options_.rate * rate_factor), scores_,
                                      first_, second_, jumps.jumps);
    }

    void relabel(const Layout& layout, const std::vector<std::int32_t>& row_groups,
                 const Tensor& former) override {
        const std::int64_t words = layout.codewords();
        const std::int64_t segment = layout.column_group == 0 ? layout.cols : layout.column_group;
        std::vector<float> old(static_cast<std::size_t>(words));
        for (Tensor* kept : {&scores_, &first_}) {
            for (std::int64_t i = 0; i < second_.size(); ++i) {
                const std::int64_t group =
                    row_groups[static_cast<std::size_t>(i / layout.cols)] * layout.column_groups() +
                    i % layout.cols / segment;
                const std::uint8_t* label =
                    former.data<std::uint8_t>() + (layout.shared_codebook ? 0 : group) * words;
                float* values = kept->data<float>() + i * words;
                std::copy_n(values, words, old.begin());
                for (std::int64_t k = 0; k < words; ++k) values[k] = old[label[k]];
            }
        }
    }

    std::vector<NamedTensor> state() override {
        return {{"scores", scores_}, {"scores.first_moment", first_}, {"scores.second_moment", second_}};
    }

  private:
    NaiveOptions options_;
    Tensor scores_;
    Tensor first_;
    Tensor second_;
};

class NaiveSte final : public Estimator {
  public:
    using Options = NaiveOptions;
    explicit NaiveSte(const Options& options) : options_(options) {}
    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix, const Tensor&) const override {
        return std::make_unique<NaiveLearner>(matrix, options_);
    }
    double bytes_per_weight(int bits) const override {
        return static_cast<double>((2 << bits) + 1) * sizeof(float);
    }

  private:
    NaiveOptions options_;
};

const Registrar<Estimator, NaiveSte> registrar{
    "naive_ste",
    "Straight-through gradient of a one-hot choice: grows with the codeword's size, so that jumps are long.",
    "Bengio et al., arXiv 1308.3432, 2013; the paper's default to improve on"};

}  // namespace
}  // namespace jlcm
