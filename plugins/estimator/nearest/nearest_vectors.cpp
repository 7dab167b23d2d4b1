#include "plugins/estimator/nearest/nearest_vectors.hpp"

#include "core/backend/cpu/learning_kernels.hpp"
#include "core/base/parallel.hpp"
#include "core/learn/change_cap.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/vector_cells.hpp"
#include "core/learn/vector_places.hpp"

#include <algorithm>
#include <limits>

namespace jlcm {
namespace {

struct Bounds {
    float low = 0;
    float high = 0;
};

/// Of each element of sums of codewords, half a spacing wider.
std::vector<Bounds> bounds_of_sums(const CompressedMatrix& matrix, float spacing) {
    const int dimension = matrix.layout.dimension;
    std::vector<Bounds> bounds;
    for (int e = 0; e < dimension; ++e) {
        Bounds& own = bounds.emplace_back(-0.5F * spacing, 0.5F * spacing);
        for (int stage = 0; stage < matrix.layout.residual; ++stage) {
            float low = std::numeric_limits<float>::infinity();
            float high = -low;
            for (int k = 0; k < matrix.layout.codewords(); ++k) {
                const float value = matrix.codebook(0, stage)[k * dimension + e];
                low = std::min(low, value);
                high = std::max(high, value);
            }
            own.low += low;
            own.high += high;
        }
    }
    return bounds;
}

class NearestVectors final : public VectorMappingLearner {
  public:
    NearestVectors(Tensor latent, double rate)
        : latent_(std::move(latent)),
          first_(Tensor::zeros(latent_.shape())),
          second_(Tensor::zeros(latent_.shape())),
          rate_(rate) {}

    void step(CompressedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps) override {
        move(matrix, step);
        const Tensor wanted = codes_of_cells(matrix, latent_);
        Tensor wishes;
        if (step.most < matrix.layout.rows * matrix.layout.codes_per_row()) {
            wishes = beyond_vector_cells(matrix, latent_, wanted);
            keep_largest(wishes.values<float>(), step.most);
        }
        take_codes(matrix, wanted, wishes, jumps);
    }
    void relabel(const CompressedMatrix&, const GroupMap&, const Tensor&) override {}
    Tensor position() override { return latent_; }
    std::vector<NamedTensor> state() override {
        return {{"latent", latent_}, {"latent.first_moment", first_}, {"latent.second_moment", second_}};
    }

  private:
    /// The latents. Adam knows no size of gradients: those of the weights, which are `scale` times smaller,
    /// do as well.
    void move(const CompressedMatrix& matrix, const MappingStep& step) {
        const Layout& layout = matrix.layout;
        const float spacing = latent_spacing(matrix);
        AdamStep adam = adam_step(step.number, rate_ * step.rate_factor);
        adam.rate *= spacing;
        const std::vector<Bounds> bounds = bounds_of_sums(matrix, spacing);
        const auto& kernels = learning_kernels();
        parallel_for(layout.rows, vector_row_grain(layout), [&](std::int64_t begin, std::int64_t end) {
            const std::int64_t first = begin * layout.cols;
            const std::int64_t count = (end - begin) * layout.cols;
            float* latent = latent_.data<float>() + first;
            kernels.adam(count, &adam, step.gradient.data<float>() + first, latent,
                         first_.data<float>() + first, second_.data<float>() + first);
            for (std::int64_t i = 0; i < count; ++i) {
                const Bounds& own = bounds[static_cast<std::size_t>(i % layout.dimension)];
                latent[i] = std::clamp(latent[i], own.low, own.high);
            }
        });
    }

    Tensor latent_;
    Tensor first_;
    Tensor second_;
    double rate_;
};

}  // namespace

std::unique_ptr<VectorMappingLearner> make_nearest_vectors(const CompressedMatrix& matrix,
                                                           const Tensor& target, const StartMargin& margin,
                                                           double rate) {
    return std::make_unique<NearestVectors>(latent_vectors_in_cells(matrix, target, margin), rate);
}

}  // namespace jlcm
