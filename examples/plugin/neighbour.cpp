// An estimator outside of jlcm's tree: one file, like those in plugins/estimator/.
//
// A weight on codeword c feels a gradient g = dL/dw^. Moving it to the neighbouring codeword against the
// gradient changes the loss by about -|g| * gap, gap being the distance of the two codewords times the
// group's scale. Every step moves the weights for which this gain is more than `threshold` times the matrix's
// mean gain. No state per weight.

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/learn/estimator.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

namespace {

using namespace jlcm;

struct NeighbourOptions {
    double threshold = 50.0;
    std::int64_t period = 4;

    void fields(Fields& v) {
        v("threshold", threshold,
          Doc{"How many times the mean gain of its matrix a weight's gain must be for it to move. Lower "
              "moves more "
              "weights; below 10 most moves are undone in the next steps."},
          above(0));
        v("period", period,
          Doc{"Steps from one round of moves to the next; the codebooks settle in between."}, at_least(1));
    }
};

class NeighbourLearner : public MappingLearner {
  public:
    explicit NeighbourLearner(const NeighbourOptions& options) : options_(options) {}

    void step(CompressedMatrix& matrix, const Tensor& gradient, std::int64_t step, double /*rate_factor*/,
              JumpHistogram& jumps) override {
        const Layout& layout = matrix.layout;
        if (jumps.jumps.empty()) jumps.jumps.resize(1);
        jumps.weights += layout.rows * layout.cols;
        if (step % options_.period != 0) return;
        const auto row_groups = layout.row_group_of_rows();
        const auto sum = [&](auto use) {
            return parallel_sum(layout.rows, row_grain, [&](std::int64_t begin, std::int64_t end) {
                double total = 0.0;
                for (std::int64_t row = begin; row < end; ++row)
                    total +=
                        sum_of_row(matrix, gradient, row, row_groups[static_cast<std::size_t>(row)], use);
                return total;
            });
        };
        const auto gain_of = [](std::uint8_t& /*code*/, int /*direction*/, double gain) { return gain; };
        const double mean = sum(gain_of) / static_cast<double>(layout.rows * layout.cols);
        const auto move = [least = options_.threshold * mean](std::uint8_t& code, int direction,
                                                              double gain) {
            if (gain <= least) return 0.0;
            code = static_cast<std::uint8_t>(code + direction);
            return 1.0;
        };
        jumps.jumps[0] += static_cast<std::int64_t>(sum(move));
    }
    void relabel(const CompressedMatrix& /*matrix*/, const Tensor& /*former*/) override {}
    [[nodiscard]] std::vector<NamedTensor> state() override { return {}; }

  private:
    static constexpr std::int64_t row_grain = 64;

    /// Sums use(code, direction, gain) over the weights of a stored row that have a neighbour in that
    /// direction.
    template <class Use>
    static double sum_of_row(CompressedMatrix& matrix, const Tensor& gradient, std::int64_t row,
                             std::int64_t row_group, Use use) {
        const Layout& layout = matrix.layout;
        const std::int64_t width = layout.column_group == 0 ? layout.cols : layout.column_group;
        std::uint8_t* codes = matrix.mapping.data<std::uint8_t>() + row * layout.cols;
        const float* slopes = gradient.data<float>() + row * layout.cols;
        double total = 0.0;
        for (std::int64_t column = 0; column < layout.cols; ++column) {
            const std::int64_t group = row_group * layout.column_groups() + column / width;
            const float scale = matrix.scales.defined() ? matrix.scales.data<float>()[group] : 1.0F;
            const float* codebook =
                matrix.codebooks.data<float>() + (layout.shared_codebook ? 0 : group) * layout.codewords();
            const double slope = static_cast<double>(slopes[column]) * scale;
            const int direction = slope > 0.0 ? -1 : 1;
            const int next = codes[column] + direction;
            if (next < 0 || next >= layout.codewords()) continue;
            const double gap = std::abs(codebook[next] - codebook[codes[column]]);
            total += use(codes[column], direction, std::abs(slope) * gap);
        }
        return total;
    }

    NeighbourOptions options_;
};

class Neighbour : public Estimator {
  public:
    using Options = NeighbourOptions;
    explicit Neighbour(const Options& options) : options_(options) {}

    [[nodiscard]] std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                                        const Tensor& /*target*/) const override {
        require(matrix.layout.dimension == 1 && matrix.layout.residual == 1,
                "estimator neighbour: codewords of {} weights in {} stages have no order, use one weight and "
                "one stage",
                matrix.layout.dimension, matrix.layout.residual);
        return std::make_unique<NeighbourLearner>(options_);
    }
    [[nodiscard]] double bytes_per_weight(int /*bits*/) const override { return 0.0; }

  private:
    NeighbourOptions options_;
};

const Registrar<Estimator, Neighbour> registrar{
    "neighbour", "Moves the weights that gain most by first order to the neighbouring codeword."};

}  // namespace
