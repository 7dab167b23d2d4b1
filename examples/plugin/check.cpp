// Loads neighbour.so as jlcm-run would, and makes one step on a matrix whose outcome is known.

#include "core/base/error.hpp"
#include "core/learn/estimator.hpp"
#include "core/plugin/choice.hpp"
#include "core/plugin/library.hpp"

#include <algorithm>
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
        CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_row(1, 4, 2));
        const std::array<float, 4> codewords = {0.0F, 1.0F, 2.0F, 3.0F};
        std::copy(codewords.begin(), codewords.end(), matrix.codebooks.data<float>());
        std::fill_n(matrix.mapping.data<std::uint8_t>(), 4, std::uint8_t{1});
        const std::array<float, 4> slopes = {1.0F, -8.0F, 1.0F, -1.0F};
        const Tensor gradient = Tensor::from<float>({1, 4}, slopes);

        JumpHistogram jumps;
        estimator->start(matrix, decode(matrix))->step(matrix, gradient, 0, 1.0, jumps);
        const std::array<std::uint8_t, 4> expected = {1, 2, 1, 1};
        const auto codes = matrix.mapping.values<std::uint8_t>();
        require(std::equal(codes.begin(), codes.end(), expected.begin(), expected.end()),
                "the wrong weights moved");
        require(jumps.jumps.at(0) == 1 && jumps.weights == 4, "the jumps are not counted");
        std::puts("neighbour.so moves what it should");
        return 0;
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    }
}
