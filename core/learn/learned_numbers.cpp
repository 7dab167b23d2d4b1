#include "core/learn/coded_matrix.hpp"
#include "core/learn/learned_codes.hpp"

#include <utility>

namespace jlcm {
namespace {

class LearnedNumbers final : public LearnedCodes {
  public:
    LearnedNumbers(CompressedMatrix matrix, std::unique_ptr<MappingLearner> mapping, Backend& backend)
        : LearnedCodes(std::move(matrix), backend),
          mapping_(std::move(mapping)),
          tables_(group_tables(matrix_)) {}

    void changed() override {
        sort();
        tables_ = group_tables(matrix_);
    }

    [[nodiscard]] Tensor weight(DType type) const override {
        if (mapping_ != nullptr) {
            const Tensor soft = mapping_->soft_weights(view(), *backend_);
            if (soft.defined()) return backend_->convert(soft, type);
        }
        Tensor weight = Tensor::empty({matrix_.layout.rows, matrix_.layout.cols}, type);
        backend_->decode_codes(view(), weight);
        return weight;
    }

    void observe(const Tensor& gradient) override {
        Tensor sums = backend_->table_gradient(view(), gradient, matrix_.layout.groups());
        if (table_gradient_.defined())
            backend_->add_scaled(table_gradient_, sums, 1.0);
        else
            table_gradient_ = std::move(sums);
    }

    /// A table is scale * codeword + offset, so its gradient gives both factors' by the product rule.
    [[nodiscard]] CodebookGradients take_gradients() override {
        const Tensor sums = std::exchange(table_gradient_, {});
        const std::int64_t words = matrix_.layout.codewords();
        CodebookGradients gradients{
            .codebooks = Tensor::zeros(matrix_.codebooks.shape()),
            .scales = matrix_.scales.defined() ? Tensor::zeros(matrix_.scales.shape()) : Tensor()};
        for (std::int64_t g = 0; g < matrix_.layout.groups(); ++g) {
            float* book_gradient = gradients.codebooks.data<float>() + matrix_.layout.codebook_of(g) * words;
            const float* book = matrix_.codebook(g);
            const float scale = matrix_.scale(g);
            for (std::int64_t k = 0; k < words; ++k) {
                const float slope = sums.data<float>()[g * words + k];
                book_gradient[k] += scale * slope;
                if (matrix_.scales.defined()) gradients.scales.data<float>()[g] += slope * book[k];
            }
        }
        return gradients;
    }

    [[nodiscard]] Tensor spacing() const override {
        const std::int64_t words = matrix_.layout.codewords();
        Tensor spacing = Tensor::empty({matrix_.codebooks.rows()});
        for (std::int64_t i = 0; i < spacing.size(); ++i) {
            const float* book = matrix_.codebooks.data<float>() + i * words;
            spacing.data<float>()[i] =
                words > 1 ? (book[words - 1] - book[0]) / static_cast<float>(words - 1) : 0.0F;
        }
        return spacing;
    }

    [[nodiscard]] MappingState* mapping() const override { return mapping_.get(); }
    void step(const MappingStep& step, JumpHistogram& jumps) override {
        mapping_->step(view(), step, jumps, *backend_);
    }

  private:
    [[nodiscard]] CodedMatrix view() const { return coded_matrix(matrix_, tables_, groups_); }

    std::unique_ptr<MappingLearner> mapping_;
    Tensor tables_;          ///< [groups, K]: scale * codeword + offset
    Tensor table_gradient_;  ///< [groups, K]: dL/d tables of the next step; undefined: nothing observed
};

}  // namespace

std::unique_ptr<LearnedCodes> make_learned_numbers(CompressedMatrix matrix,
                                                   std::unique_ptr<MappingLearner> mapping,
                                                   Backend& backend) {
    return std::make_unique<LearnedNumbers>(std::move(matrix), std::move(mapping), backend);
}

}  // namespace jlcm
