#include "core/codebook/kmeans.hpp"

#include "core/codebook/codebook_init.hpp"
#include "core/codebook/vector_codebooks.hpp"

namespace jlcm {
namespace {

enum class Weighting { none, input_second_moment, fisher };

EnumNames<Weighting> enum_names(Weighting /*type*/) {
    return {
        {Weighting::none, "none", "every weight counts the same"},
        {Weighting::input_second_moment, "input_second_moment",
         "a weight counts as much as the sum of squares of the input that it multiplies, weighted by output "
         "gradients where `output_weighting` is set"},
        {Weighting::fisher, "fisher",
         "a weight counts as much as the mean square of its gradient of the language-model loss"}};
}

enum class Algorithm { exact, lloyd };

EnumNames<Algorithm> enum_names(Algorithm /*type*/) {
    return {{Algorithm::exact, "exact", "the optimum, by dynamic programming"},
            {Algorithm::lloyd, "lloyd",
             "a local optimum, from quantiles; faster for large groups and many codewords"}};
}

constexpr int vector_iterations = 15;  // of Lloyd's algorithm on vectors, before a solver goes on

struct KMeansOptions {
    Weighting weights = Weighting::input_second_moment;
    Algorithm algorithm = Algorithm::exact;
    int iterations = 100;

    void fields(Fields& v) {
        v("weights", weights,
          Doc{"How much a weight's error counts. Without calibration inputs only `none` is possible; with "
              "them the other is far better.",
              "SqueezeLLM, arXiv 2306.07629, with the layer objective's diagonal"});
        v("algorithm", algorithm, Doc{"How the clusters are found."});
        v("iterations", iterations, Doc{"Maximum iterations of Lloyd's algorithm."},
          Range{.low = 1, .high = 100000});
    }
};

class KMeans : public CodebookInit {
  public:
    using Options = KMeansOptions;
    explicit KMeans(const Options& options) : options_(options) {}

    [[nodiscard]] DataNeeds needs() const override {
        return {.second_moments = options_.weights == Weighting::input_second_moment,
                .fisher = options_.weights == Weighting::fisher};
    }

    [[nodiscard]] CompressedMatrix initialise(const LayerProblem& problem,
                                              const GroupedRows& grouped) const override {
        if (grouped.layout.dimension > 1 || grouped.layout.residual > 1)
            return fill_vector_codebooks(problem, grouped, importance(problem), vector_iterations);
        return fill_codebooks(problem, grouped, importance(problem),
                              [this](std::span<const float> values, std::span<const float> weights,
                                     std::span<float> codewords) {
                                  static thread_local KMeans1d kmeans;
                                  if (options_.algorithm == Algorithm::exact) {
                                      kmeans.exact(values, weights, codewords);
                                  } else {
                                      kmeans.lloyd(values, weights, options_.iterations, codewords);
                                  }
                              });
    }

  private:
    [[nodiscard]] ImportanceOfRow importance(const LayerProblem& problem) const {
        if (options_.weights == Weighting::none) return equal_importance();
        if (options_.weights == Weighting::fisher) return problem.fisher_importance();
        require(problem.second_moments.defined(),
                "{}: k-means weighted by input second moments needs calibration inputs", problem.name);
        return problem.second_moment_importance();
    }

    Options options_;
};

const Registrar<CodebookInit, KMeans> registrar{
    "kmeans", "K-means of each group's weights; of vectors of weights if codewords are vectors.",
    "Deep Compression, arXiv 1510.00149; exact: arXiv 1701.07204"};

}  // namespace
}  // namespace jlcm
