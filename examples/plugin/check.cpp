// Loads neighbour.so as jlcm-run would, and makes one step on a matrix whose outcome is known.

#include "core/backend/backend.hpp"
#include "core/base/error.hpp"
#include "core/learn/estimator.hpp"
#include "core/plugin/choice.hpp"
#include "core/plugin/library.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

int main(int argc, char** argv) {
    using namespace jlcm;
    try {
        require(argc == 2, "usage: check neighbour.so");
        load_plugin_library(argv[1]);
        const auto estimator = Choice<Estimator>::parse("{type: neighbour, threshold: 2}").make();

        // One row on the codewords 0, 1, 2, 3, everything on 1; one weight gains eight times what each other
        // one does.
        const std::array<float, 4> codewords = {0.0F, 1.0F, 2.0F, 3.0F};
        const GroupMap groups(4, 4, {0});
        const std::array<float, 4> slopes = {1.0F, -8.0F, 1.0F, -1.0F};
        std::array<std::uint8_t, 4> codes = {1, 1, 1, 1};
        CodedMatrix matrix;
        matrix.groups = &groups;
        matrix.codewords = 4;
        matrix.codes = codes.data();
        matrix.tables = codewords.data();

        JumpHistogram jumps;
        const auto learner = estimator->start(CompressedMatrix::zeros(Layout::per_row(1, 4, 2)), Tensor());
        const MappingStep step{.gradient = Tensor::from<float>({1, 4}, slopes), .curvature = {}};
        learner->step(matrix, step, jumps, cpu_backend());
        require(codes == std::array<std::uint8_t, 4>{1, 2, 1, 1}, "the wrong weights moved");
        require(jumps.moved() == 1, "the jumps are not counted");
        std::puts("neighbour.so moves what it should");
        return 0;
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    }
}
