#include "core/base/parallel.hpp"
#include "core/learn/learned_codes.hpp"
#include "core/learn/vector_cells.hpp"
#include "core/learn/vector_kernels.hpp"
#include "core/learn/vector_places.hpp"

#include <algorithm>
#include <utility>

namespace jlcm {
namespace {

class LearnedVectors final : public LearnedCodes {
  public:
    LearnedVectors(CompressedMatrix matrix, std::unique_ptr<VectorMappingLearner> mapping, Backend& backend)
        : LearnedCodes(std::move(matrix), backend), mapping_(std::move(mapping)) {}

    void changed() override { sort(); }

    [[nodiscard]] Tensor weight(DType type) const override {
        const Layout& layout = matrix_.layout;
        Tensor weight = Tensor::zeros({layout.rows, layout.cols});
        const auto& kernels = vector_kernels();
        parallel_for(layout.rows, vector_row_grain(layout), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row)
                for (int stage = 0; stage < layout.residual; ++stage)
                    kernels.decode(layout.codes_per_row(), layout.dimension, codes(stage, row),
                                   matrix_.codebook(0, stage), scale(row),
                                   weight.data<float>() + row * layout.cols);
        });
        return backend_->convert(weight, type);
    }

    /// Rows are summed in chunks that depend on the matrix alone, and chunks in their order.
    void observe(const Tensor& gradient) override {
        const Layout& layout = matrix_.layout;
        if (!sums_.codebooks.defined()) {
            sums_.codebooks = Tensor::zeros(matrix_.codebooks.shape());
            if (matrix_.scales.defined()) sums_.scales = Tensor::zeros(matrix_.scales.shape());
        }
        const std::int64_t grain = vector_row_grain(layout);
        const std::int64_t chunks = (layout.rows + grain - 1) / grain;
        Tensor partial = Tensor::zeros({chunks, matrix_.codebooks.size()});
        Tensor overlaps = Tensor::zeros({layout.rows});
        const auto& kernels = vector_kernels();
        const std::int64_t book = static_cast<std::int64_t>(layout.codewords()) * layout.dimension;
        parallel_for(layout.rows, grain, [&](std::int64_t begin, std::int64_t end) {
            float* own = partial.data<float>() + begin / grain * matrix_.codebooks.size();
            for (std::int64_t row = begin; row < end; ++row)
                for (int stage = 0; stage < layout.residual; ++stage)
                    overlaps.data<float>()[row] +=
                        kernels.gradient(layout.codes_per_row(), layout.dimension, codes(stage, row),
                                         matrix_.codebook(0, stage), scale(row),
                                         gradient.data<float>() + row * layout.cols, own + stage * book);
        });
        for (std::int64_t i = 0; i < partial.size(); ++i)
            sums_.codebooks.data<float>()[i % matrix_.codebooks.size()] += partial.data<float>()[i];
        if (!matrix_.scales.defined()) return;
        for (std::int64_t row = 0; row < layout.rows; ++row)
            sums_.scales.data<float>()[groups_.group_of_row(row)] += overlaps.data<float>()[row];
    }

    [[nodiscard]] CodebookGradients take_gradients() override { return std::exchange(sums_, {}); }

    [[nodiscard]] Tensor spacing() const override {
        Tensor spacing = Tensor::empty({matrix_.layout.residual});
        for (int stage = 0; stage < matrix_.layout.residual; ++stage)
            spacing.data<float>()[stage] = vector_spacing(matrix_, stage);
        return spacing;
    }

    [[nodiscard]] MappingState* mapping() const override { return mapping_.get(); }
    void step(const MappingStep& step, JumpHistogram& jumps) override {
        mapping_->step(matrix_, step, jumps);
    }

  private:
    [[nodiscard]] float scale(std::int64_t row) const { return matrix_.scale(groups_.group_of_row(row)); }
    [[nodiscard]] const std::uint8_t* codes(int stage, std::int64_t row) const {
        return matrix_.mapping.data<std::uint8_t>() +
               (stage * matrix_.layout.rows + row) * matrix_.layout.codes_per_row();
    }

    std::unique_ptr<VectorMappingLearner> mapping_;
    CodebookGradients sums_;  ///< of what was observed for the next step; undefined: nothing
};

}  // namespace

std::unique_ptr<LearnedCodes> make_learned_vectors(CompressedMatrix matrix,
                                                   std::unique_ptr<VectorMappingLearner> mapping,
                                                   Backend& backend) {
    return std::make_unique<LearnedVectors>(std::move(matrix), std::move(mapping), backend);
}

}  // namespace jlcm
