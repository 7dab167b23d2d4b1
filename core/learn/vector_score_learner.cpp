#include "core/learn/vector_score_learner.hpp"

#include "core/base/parallel.hpp"
#include "core/learn/change_cap.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/vector_cells.hpp"
#include "core/learn/vector_places.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace jlcm {
namespace {

float squared_distance_of(const CompressedMatrix& matrix, int stage, int a, int b) {
    const int dimension = matrix.layout.dimension;
    const float* book = matrix.codebook(0, stage);
    return squared_distance(book + a * dimension, book + b * dimension, dimension);
}

/// The `window` codewords nearest to each one of a stage, itself first: uint8 [K, window].
void find_neighbours(const CompressedMatrix& matrix, int stage, int window, std::uint8_t* neighbours) {
    const int words = matrix.layout.codewords();
    std::vector<float> away(static_cast<std::size_t>(words));
    std::vector<int> order(away.size());
    for (int k = 0; k < words; ++k) {
        for (int other = 0; other < words; ++other)
            away[static_cast<std::size_t>(other)] =
                other == k ? -1.0F : squared_distance_of(matrix, stage, k, other);
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, {}, [&](int word) { return away[static_cast<std::size_t>(word)]; });
        for (int i = 0; i < window; ++i)
            neighbours[k * window + i] = static_cast<std::uint8_t>(order[static_cast<std::size_t>(i)]);
    }
}

class VectorScoreLearner final : public VectorMappingLearner {
  public:
    VectorScoreLearner(const CompressedMatrix& matrix, const Tensor& target, VectorScoreKernel kernel,
                       const ScoreOptions& options, Temperature temperature)
        : kernel_(kernel),
          options_(options),
          temperature_(std::move(temperature)),
          window_(options.window_of(matrix.layout.bits)),
          groups_(matrix.layout.group_map()),
          unit_(Tensor::zeros({1})) {
        const Layout& layout = matrix.layout;
        neighbours_ = Tensor::empty({layout.residual, layout.codewords(), window_}, DType::u8);
        for (int stage = 0; stage < layout.residual; ++stage)
            find_neighbours(matrix, stage, window_, neighbours_of(stage));
        Shape shape = matrix.mapping.shape();
        if (options.second_moment == SecondMoment::weight) second_ = Tensor::zeros(shape);
        shape.push_back(window_);
        scores_ = Tensor::empty(shape);
        first_ = Tensor::zeros(shape);
        if (options.second_moment == SecondMoment::score) second_ = Tensor::zeros(shape);
        start(matrix, target);
    }

    void step(CompressedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps) override {
        float& unit = unit_.data<float>()[0];
        if (options_.second_moment == SecondMoment::none && unit == 0) unit = root_mean_square(step.gradient);
        ScoreStep scores{.second_moment = options_.second_moment,
                         .adam = adam_step(step.number, options_.rate * step.rate_factor),
                         .temperature = static_cast<float>(temperature_(step.progress)),
                         .unit = unit};
        const std::int64_t places = matrix.layout.rows * matrix.layout.codes_per_row();
        if (step.most >= places) {
            run(matrix, step.gradient, scores, {}, jumps);
            return;
        }
        Tensor leads = Tensor::empty(matrix.mapping.shape());
        scores.phase = ScorePhase::scores;
        run(matrix, step.gradient, scores, leads, jumps);
        keep_places(leads, places, step.most);
        scores.phase = ScorePhase::codes;
        run(matrix, step.gradient, scores, leads, jumps);
    }

    /// A codeword's neighbours are named by the labels of now; scores lie in their order.
    void relabel(const CompressedMatrix& matrix, const GroupMap& /*groups*/, const Tensor& former) override {
        const int words = matrix.layout.codewords();
        for (int stage = 0; stage < matrix.layout.residual; ++stage) {
            const std::uint8_t* label = former.data<std::uint8_t>() + stage * words;
            std::vector<std::uint8_t> now(static_cast<std::size_t>(words));
            for (int k = 0; k < words; ++k) now[label[k]] = static_cast<std::uint8_t>(k);
            const std::vector<std::uint8_t> before(neighbours_of(stage),
                                                   neighbours_of(stage) + words * window_);
            for (int k = 0; k < words; ++k)
                for (int i = 0; i < window_; ++i)
                    neighbours_of(stage)[k * window_ + i] =
                        now[before.at(static_cast<std::size_t>(label[k]) * static_cast<std::size_t>(window_) +
                                      static_cast<std::size_t>(i))];
        }
    }

    Tensor position() override { return scores_; }
    std::vector<NamedTensor> state() override {
        std::vector<NamedTensor> state{
            {"neighbours", neighbours_}, {"scores", scores_}, {"scores.first_moment", first_}};
        if (second_.defined())
            state.push_back({"scores.second_moment", second_});
        else
            state.push_back({"scores.unit", unit_});
        return state;
    }

  private:
    [[nodiscard]] std::uint8_t* neighbours_of(int stage) {
        return neighbours_.data<std::uint8_t>() + stage * neighbours_.shape()[1] * window_;
    }

    static float root_mean_square(const Tensor& gradient) {
        const double squares =
            parallel_sum(gradient.size(), 1 << 15, [&](std::int64_t begin, std::int64_t end) {
                double sum = 0;
                for (std::int64_t i = begin; i < end; ++i)
                    sum += std::pow(static_cast<double>(gradient.data<float>()[i]), 2);
                return sum;
            });
        return static_cast<float>(std::sqrt(squares / static_cast<double>(gradient.size())));
    }

    /// Sets all leads of places to 0 but those of the `most` at which a stage's is largest.
    static void keep_places(Tensor& leads, std::int64_t places, std::int64_t most) {
        Tensor largest = Tensor::zeros({places});
        for (std::int64_t i = 0; i < leads.size(); ++i) {
            float& own = largest.data<float>()[i % places];
            own = std::max(own, leads.data<float>()[i]);
        }
        keep_largest(largest.values<float>(), most);
        for (std::int64_t i = 0; i < leads.size(); ++i)
            if (largest.data<float>()[i % places] == 0) leads.data<float>()[i] = 0;
    }

    /// The kernel over every row of every stage. `leads`: undefined for a whole step.
    void run(CompressedMatrix& matrix, const Tensor& gradient, const ScoreStep& scores, Tensor leads,
             JumpHistogram& jumps) {
        const Layout& layout = matrix.layout;
        const std::int64_t per_row = layout.codes_per_row();
        const std::int64_t seconds = options_.second_moment == SecondMoment::score ? window_ : 1;
        for (int stage = 0; stage < layout.residual; ++stage) {
            const std::vector<float> distances = distances_of(matrix, stage);
            const VectorScores scored = view(matrix, stage, distances);
            count_jumps_of_rows(layout, jumps, [&](std::int64_t row, std::int64_t* counts) {
                const std::int64_t at = (stage * layout.rows + row) * per_row;
                kernel_(per_row, &scored, matrix.scale(groups_.group_of_row(row)), &scores,
                        gradient.data<float>() + row * layout.cols, scores_.data<float>() + at * window_,
                        first_.data<float>() + at * window_,
                        second_.defined() ? second_.data<float>() + at * seconds : nullptr,
                        leads.defined() ? leads.data<float>() + at : nullptr,
                        matrix.mapping.data<std::uint8_t>() + at, counts);
            });
        }
    }

    [[nodiscard]] VectorScores view(const CompressedMatrix& matrix, int stage,
                                    const std::vector<float>& distances) {
        return {.dimension = matrix.layout.dimension,
                .window = window_,
                .codebook = matrix.codebook(0, stage),
                .neighbours = neighbours_of(stage),
                .distances = distances.data(),
                .spacing = vector_spacing(matrix, stage)};
    }

    /// In spacings, of each codeword's window.
    [[nodiscard]] std::vector<float> distances_of(const CompressedMatrix& matrix, int stage) {
        const float spacing = vector_spacing(matrix, stage);
        const int words = matrix.layout.codewords();
        std::vector<float> distances(static_cast<std::size_t>(words * window_));
        for (int i = 0; i < words * window_; ++i)
            distances[static_cast<std::size_t>(i)] =
                spacing > 0
                    ? std::sqrt(squared_distance_of(matrix, stage, i / window_, neighbours_of(stage)[i])) /
                          spacing
                    : 0.0F;
        return distances;
    }

    /// As start_scores has it, distances being those of vectors.
    void start(const CompressedMatrix& matrix, const Tensor& target) {
        const Layout& layout = matrix.layout;
        for (int stage = 0; stage < layout.residual; ++stage) {
            const float spacing = vector_spacing(matrix, stage);
            for_places(matrix, [&](const Place& place) {
                const float scale = matrix.scale(groups_.group_of_row(place.row));
                Vector rest = place.sum(matrix.mapping);  // of the weights, without the other stages
                const int code = place.code(stage);
                for (int e = 0; e < layout.dimension; ++e) {
                    const float original = target.data<float>()[place.index() * layout.dimension + e];
                    float& own = rest[static_cast<std::size_t>(e)];
                    own = (scale != 0 ? original / scale - own : 0.0F) + place.codeword(stage, code)[e];
                }
                const auto distance = [&](int word) {
                    const float away = std::sqrt(
                        squared_distance(rest.data(), place.codeword(stage, word), layout.dimension));
                    return spacing > 0 ? away / spacing : 0.0F;
                };
                float* own = scores_.data<float>() + place.of_stage(stage) * window_;
                const std::uint8_t* near = neighbours_of(stage) + code * window_;
                own[0] = 0;
                for (int k = 1; k < window_; ++k)
                    own[k] = starting_score(options_.start, distance(near[k]) - distance(code),
                                            options_.margin.of(place.index()));
            });
        }
    }

    VectorScoreKernel kernel_;
    ScoreOptions options_;
    Temperature temperature_;
    int window_;
    GroupMap groups_;
    Tensor
        neighbours_;  ///< uint8 [stages, K, window]: candidates of the weights on a codeword, nearest first
    Tensor scores_, first_;  ///< [stages, rows, codes of a row, window]
    Tensor second_;          ///< the same, or without the window, or undefined
    Tensor unit_;            ///< [1]: the first gradient's root mean square; 0: not known yet
};

}  // namespace

std::unique_ptr<VectorMappingLearner> make_vector_score_learner(const CompressedMatrix& matrix,
                                                                const Tensor& target,
                                                                VectorScoreKernel kernel,
                                                                const ScoreOptions& options,
                                                                Temperature temperature) {
    return std::make_unique<VectorScoreLearner>(matrix, target, kernel, options, std::move(temperature));
}

}  // namespace jlcm
