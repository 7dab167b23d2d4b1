// An estimator outside of jlcm's tree, with kernels of its own (isa_neighbour.cpp), like those in
// plugins/estimator/.
//
// A weight on codeword c feels a gradient g = dL/dw^. Moving it to the neighbouring codeword against the
// gradient changes the loss by about -|g| * gap, gap being the distance of the two codewords times the
// group's scale. Every step moves the weights for which this gain is more than `threshold` times the matrix's
// mean gain. No state per weight.

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/segment_steps.hpp"
#include "neighbour_kernels.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace neighbour {

JLCM_DECLARE_KERNELS(Kernels, table)

const Kernels& kernels() {
    return JLCM_SELECT_KERNELS(table);
}

}  // namespace neighbour

namespace {

using namespace jlcm;

struct NeighbourOptions {
    double threshold = 50.0;
    std::int64_t period = 4;

    void fields(Fields& v) {
        v("threshold", threshold,
          Doc{"How many times the mean gain of its matrix a weight's gain must be for it to move. Lower moves "
              "more weights; below 10 most moves are undone in the next steps."},
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
        if (step.number % options_.period != 0) return;
        const neighbour::Kernels& kernels = neighbour::kernels();
        const float* gradient = step.gradient.data<float>();
        constexpr std::int64_t row_grain = 64;
        const double gain = parallel_sum(matrix.rows(), row_grain, [&](std::int64_t begin, std::int64_t end) {
            double total = 0.0;
            for (std::int64_t row = begin; row < end; ++row)
                matrix.groups->for_each_segment(row, [&](const Segment& segment) {
                    total += kernels.gain(segment.size(), matrix.codewords, matrix.table(segment.group),
                                          gradient + segment.first, matrix.codes + segment.first);
                });
            return total;
        });
        const auto least = static_cast<float>(options_.threshold * gain / static_cast<double>(matrix.size()));
        step_segments(matrix, step.gradient, jumps.jumps, [&](const Segment& segment, std::int64_t* counts) {
            counts[0] += kernels.move(segment.size(), matrix.codewords, matrix.table(segment.group),
                                      gradient + segment.first, least, matrix.codes + segment.first);
        });
    }
    void relabel(const CompressedMatrix& /*matrix*/, const GroupMap& /*groups*/,
                 const Tensor& /*former*/) override {}
    [[nodiscard]] std::vector<NamedTensor> state() override { return {}; }

  private:
    NeighbourOptions options_;
};

class Neighbour : public Estimator {
  public:
    using Options = NeighbourOptions;
    explicit Neighbour(const Options& options) : options_(options) {}

    [[nodiscard]] std::unique_ptr<MappingLearner> start(const CompressedMatrix& /*matrix*/,
                                                        const Tensor& /*target*/) const override {
        return std::make_unique<NeighbourLearner>(options_);
    }
    [[nodiscard]] double bytes_per_weight(const CodeShape& /*codes*/) const override { return 0.0; }

  private:
    NeighbourOptions options_;
};

const Registrar<Estimator, Neighbour> registrar{
    "neighbour", "Moves the weights that gain most by first order to the neighbouring codeword."};

}  // namespace
