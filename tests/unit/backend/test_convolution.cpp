// Convolutions with what follows on them in one pass.
#include "core/backend/backend.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// 3 x 3, one pixel of padding.
Convolution same_size(std::int64_t channels, std::int64_t outputs, std::int64_t groups, std::int64_t side) {
    Convolution shape;
    shape.windows.images = 1;
    shape.windows.size = {side, side};
    shape.windows.channels = channels;
    shape.windows.kernel = {3, 3};
    shape.windows.pad = {1, 1};
    shape.windows.padded_size = {side + 2, side + 2};
    shape.windows.out_size = {side, side};
    shape.outputs = outputs;
    shape.groups = groups;
    return shape;
}

}  // namespace

TEST_CASE("a pixel that is NaN stays so through every function that follows on a convolution") {
    Backend& backend = cpu_backend();
    constexpr std::int64_t side = 12;
    for (const auto& shape :
         {same_size(16, 16, 1, side), same_size(16, 32, 2, side), same_size(16, 16, 16, side),
          same_size(3, 8, 1, side), same_size(64, 64, 1, side)}) {
        const std::int64_t channels = shape.windows.channels;
        Tensor x = test::random_tensor({1, side, side, channels}, "x", DType::f32);
        const Tensor weight = test::random_tensor({shape.outputs, shape.columns()}, "weight", DType::f32);
        const Tensor plain_residual =
            test::random_tensor({1, side, side, shape.outputs}, "residual", DType::f32);
        constexpr std::int64_t bad = 5 * side + 7;  // pixel
        for (std::int64_t c = 0; c < channels; ++c)
            x.data<float>()[bad * channels + c] = std::numeric_limits<float>::quiet_NaN();
        for (const UnaryFunction& function :
             {UnaryFunction{Unary::relu}, {Unary::clip, 0, 6}, {Unary::leaky_relu, 0.1}, {Unary::hard_swish}})
            for (const bool has_residual : {false, true})
                for (const DType type : {DType::f32, DType::bf16}) {
                    if (type == DType::bf16 && !backend.has_bfloat16()) continue;
                    CAPTURE(channels, shape.outputs, shape.groups, static_cast<int>(function.kind),
                            has_residual, name_of(type));
                    Epilogue epilogue;
                    epilogue.function = function;
                    if (has_residual) epilogue.residual = plain_residual;
                    const Tensor y =
                        backend.convolution(shape, backend.convert(x, type), backend.convert(weight, type),
                                            nullptr, epilogue, nullptr);
                    bool is_nan = true;
                    for (std::int64_t c = 0; c < shape.outputs; ++c)
                        is_nan = is_nan && std::isnan(y.data<float>()[bad * shape.outputs + c]);
                    CHECK(is_nan);
                    CHECK(std::isfinite(y.data<float>()[0]));
                }
    }
}
