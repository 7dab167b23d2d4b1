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

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& /*backend*/) override {
        if (jumps.jumps.empty()) jumps.jumps.resize(1);
        jumps.weights += matrix.rows * matrix.cols;
        if (step.number % options_.period != 0) return;
        const auto sum = [&](auto use) {
            return parallel_sum(matrix.rows, row_grain, [&](std::int64_t begin, std::int64_t end) {
                double total = 0.0;
                for (std::int64_t row = begin; row < end; ++row)
                    total += sum_of_row(matrix, step.gradient, row, use);
                return total;
            });
        };
        const auto gain_of = [](std::uint8_t& /*code*/, int /*direction*/, double gain) { return gain; };
        const double mean = sum(gain_of) / static_cast<double>(matrix.rows * matrix.cols);
        const auto move = [least = options_.threshold * mean](std::uint8_t& code, int direction,
                                                              double gain) {
            if (gain <= least) return 0.0;
            code = static_cast<std::uint8_t>(code + direction);
            return 1.0;
        };
        jumps.jumps[0] += static_cast<std::int64_t>(sum(move));
    }
    void relabel(const CompressedMatrix& /*matrix*/, const std::vector<std::int32_t>& /*row_groups*/,
                 const Tensor& /*former*/) override {}
    [[nodiscard]] std::vector<NamedTensor> state() override { return {}; }

  private:
    static constexpr std::int64_t row_grain = 64;

    /// Sums use(code, direction, gain) over the weights of a stored row that have a neighbour in that
    /// direction.
    template <class Use>
    static double sum_of_row(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t row, Use use) {
        std::uint8_t* codes = matrix.codes + row * matrix.cols;
        const float* slopes = gradient.data<float>() + row * matrix.cols;
        double total = 0.0;
        for (std::int64_t column = 0; column < matrix.cols; ++column) {
            const std::int64_t table = matrix.table_of_row[row] * matrix.segments() + column / matrix.segment;
            const float* codewords = matrix.tables + table * matrix.codewords;
            const int direction = slopes[column] > 0.0F ? -1 : 1;
            const int next = codes[column] + direction;
            if (next < 0 || next >= matrix.codewords) continue;
            const double gap = std::abs(codewords[next] - codewords[codes[column]]);
            total += use(codes[column], direction, std::abs(slopes[column]) * gap);
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
