// The fast float32 and bfloat16 kernels against plain double-precision loops.
#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

double largest_difference(const Tensor& a, const Tensor& b) {
    const Tensor x = a.to(DType::f64);
    const Tensor y = b.to(DType::f64);
    double largest = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
        const double difference = std::abs(x.data<double>()[i] - y.data<double>()[i]);
        if (!(difference <= largest)) largest = difference;  // NaN counts as the largest
    }
    return largest;
}

}  // namespace

TEST_CASE("products of every transposition and type match double precision") {
    Backend& backend = cpu_backend();
    for (const auto& [m, n, k] :
         {std::array<std::int64_t, 3>{1, 1, 1}, {3, 5, 7}, {300, 70, 33}, {513, 260, 64}, {5, 300, 2}}) {
        for (const auto ta : {Transpose::no, Transpose::yes}) {
            for (const auto tb : {Transpose::no, Transpose::yes}) {
                const Tensor a = random_tensor(ta == Transpose::no ? Shape{m, k} : Shape{k, m}, "a");
                const Tensor b = random_tensor(tb == Transpose::no ? Shape{k, n} : Shape{n, k}, "b");
                const Tensor expected = backend.product(a, ta, b, tb);
                const Tensor single = backend.product(a.to(DType::f32), ta, b.to(DType::f32), tb);
                REQUIRE(largest_difference(expected, single) < 1e-5 * std::sqrt(static_cast<double>(k)) * 4);
                if (!backend.has_bfloat16()) continue;
                const Tensor a16 = a.to(DType::f32).to(DType::bf16);
                const Tensor b16 = b.to(DType::f32).to(DType::bf16);
                const Tensor exact = backend.product(a16.to(DType::f64), ta, b16.to(DType::f64), tb);
                REQUIRE(largest_difference(exact, backend.product(a16, ta, b16, tb)) <
                        1e-5 * std::sqrt(static_cast<double>(k)) * 4);
                Tensor twice = backend.product(a16, ta, b16, tb);
                backend.gemm(matrix(a16), ta, matrix(b16), tb, twice, true);
                backend.add_scaled(twice, exact.to(DType::f32), -2.0);
                REQUIRE(largest_difference(twice, Tensor::zeros(twice.shape())) <
                        1e-4 * std::sqrt(static_cast<double>(k)));
            }
        }
    }
}

TEST_CASE("a Gram matrix is x^T x, symmetric to the bit") {
    Backend& backend = cpu_backend();
    const Tensor x = random_tensor({333, 250}, "x", DType::f32);
    Tensor gram = Tensor::zeros({250, 250});
    backend.accumulate_gram(x, gram);
    const Tensor expected =
        backend.product(x.to(DType::f64), Transpose::yes, x.to(DType::f64), Transpose::no);
    REQUIRE(largest_difference(gram, expected) < 1e-3);
    for (int i = 0; i < 250; ++i)
        for (int j = 0; j < i; ++j)
            REQUIRE(gram.data<float>()[i * 250 + j] == gram.data<float>()[j * 250 + i]);
}

TEST_CASE("conversion to bfloat16 rounds as one value at a time does") {
    Tensor x = random_tensor({1000}, "x", DType::f32);
    x.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    x.data<float>()[1] = std::numeric_limits<float>::infinity();
    x.data<float>()[2] = 1.0F + 0x1p-8F;
    x.data<float>()[3] = -0.0F;
    x.data<float>()[4] = std::numeric_limits<float>::max();
    const Tensor fast = cpu_backend().convert(x, DType::bf16);
    const Tensor slow = x.to(DType::bf16);
    for (int i = 0; i < 1000; ++i) REQUIRE(fast.data<std::uint16_t>()[i] == slow.data<std::uint16_t>()[i]);
}

TEST_CASE("float32 operators agree with float64 ones") {
    Backend& backend = cpu_backend();
    const Tensor x = random_tensor({2, 70, 96}, "x", DType::f64, 3.0);
    const Tensor y = random_tensor({2, 70, 96}, "y");
    const Tensor xf = x.to(DType::f32);
    const Tensor yf = y.to(DType::f32);
    for (const Unary f : {Unary::silu, Unary::relu, Unary::gelu, Unary::tanh, Unary::sigmoid}) {
        REQUIRE(largest_difference(backend.unary({f}, x), backend.unary({f}, xf)) < 3e-6);
        REQUIRE(largest_difference(backend.unary_backward({f}, x, y), backend.unary_backward({f}, xf, yf)) <
                1e-5);
    }
    for (const Binary f : {Binary::add, Binary::multiply, Binary::silu_multiply})
        REQUIRE(largest_difference(backend.binary(f, x, y), backend.binary(f, xf, yf)) < 1e-5);
    Tensor inverse;
    const Tensor w = random_tensor({96}, "w");
    REQUIRE(largest_difference(backend.rms_norm(x, w, 1e-5, inverse),
                               backend.rms_norm(xf, w.to(DType::f32), 1e-5, inverse)) < 1e-5);
}

TEST_CASE("silu and softmax survive extreme inputs") {
    Backend& backend = cpu_backend();
    const std::vector<float> values = {-1e30F, -200.0F, -88.0F, 0.0F, 88.0F, 200.0F, 1e30F};
    const Tensor y = backend.unary({Unary::silu}, Tensor::from<float>({7}, values));
    for (const float v : y.values<float>()) REQUIRE(std::isfinite(v));
    REQUIRE(y.data<float>()[5] == Approx(200.0F));
    REQUIRE(std::abs(y.data<float>()[1]) < 1e-30F);
}

TEST_CASE("attention agrees with double precision, in float32 and bfloat16, on one and two threads") {
    Backend& backend = cpu_backend();
    for (const bool causal : {true, false}) {
        const AttentionShape shape{2, 300, 6, 2, 32, causal, 1.0 / std::sqrt(32.0)};
        const Tensor q = random_tensor({2, 300, shape.query_width()}, "q");
        const Tensor k = random_tensor({2, 300, shape.key_width()}, "k");
        const Tensor v = random_tensor({2, 300, shape.key_width()}, "v");
        const Tensor g = random_tensor({2, 300, shape.query_width()}, "g");
        Tensor sums;
        const Tensor exact = backend.attention(shape, q, k, v, DType::f64, sums);
        Tensor dq, dk, dv;
        backend.attention_backward(shape, q, k, v, exact, sums, g, DType::f64, dq, dk, dv);
        const Tensor qf = q.to(DType::f32), kf = k.to(DType::f32), vf = v.to(DType::f32),
                     gf = g.to(DType::f32);
        for (const DType compute : {DType::f32, DType::bf16}) {
            if (compute == DType::bf16 && !backend.has_bfloat16()) continue;
            const double tolerance = compute == DType::f32 ? 1e-5 : 0.06;
            set_thread_count(1);
            const Tensor y = backend.attention(shape, qf, kf, vf, compute, sums);
            REQUIRE(largest_difference(exact, y) < tolerance);
            Tensor dqf, dkf, dvf;
            backend.attention_backward(shape, qf, kf, vf, y, sums, gf, compute, dqf, dkf, dvf);
            REQUIRE(largest_difference(dq, dqf) < tolerance);
            REQUIRE(largest_difference(dk, dkf) < 3 * tolerance);
            REQUIRE(largest_difference(dv, dvf) < 3 * tolerance);
            set_thread_count(2);
            Tensor dq2, dk2, dv2;
            REQUIRE(largest_difference(y, backend.attention(shape, qf, kf, vf, compute, sums)) == 0.0);
            backend.attention_backward(shape, qf, kf, vf, y, sums, gf, compute, dq2, dk2, dv2);
            REQUIRE(largest_difference(dk2, dkf) == 0.0);
            REQUIRE(largest_difference(dv2, dvf) == 0.0);
        }
    }
}

namespace {

/// `cap` 0: as they are.
void cap(Tensor& logits, double cap) {
    if (cap > 0)
        for (double& each : logits.values<double>()) each = cap * std::tanh(each / cap);
}

}  // namespace

TEST_CASE("token scores match a plain softmax over the vocabulary") {
    const double soft_cap = GENERATE(0.0, 6.0);
    Backend& backend = cpu_backend();
    const std::int64_t vocabulary = 5000;
    const Tensor features = random_tensor({150, 16}, "features", DType::f32);
    const Tensor head = random_tensor({vocabulary, 16}, "head", DType::f32);
    const Tensor reference = random_tensor({150, 16}, "reference", DType::f32);
    std::vector<std::int32_t> targets(150);
    for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<std::int32_t>(i * 33 % 5000);
    targets[3] = -1;
    const BoundWeight bound_head(head);
    const TokenScores scores =
        backend.score_tokens(features, head, targets, &reference, &bound_head, soft_cap);
    Tensor logits =
        backend.product(features.to(DType::f64), Transpose::no, head.to(DType::f64), Transpose::yes);
    Tensor other =
        backend.product(reference.to(DType::f64), Transpose::no, head.to(DType::f64), Transpose::yes);
    cap(logits, soft_cap);
    cap(other, soft_cap);
    double kl_sum = 0;
    for (std::int64_t t = 0; t < 150; ++t) {
        const double* s = logits.data<double>() + t * vocabulary;
        const double* r = other.data<double>() + t * vocabulary;
        double zs = 0, zr = 0;
        for (std::int64_t i = 0; i < vocabulary; ++i) {
            zs += std::exp(s[i]);
            zr += std::exp(r[i]);
        }
        double kl = 0;
        for (std::int64_t i = 0; i < vocabulary; ++i)
            kl += std::exp(r[i]) / zr * (r[i] - std::log(zr) - s[i] + std::log(zs));
        kl_sum += kl;
        const auto at = static_cast<std::size_t>(t);
        REQUIRE(scores.kl[at] == Approx(kl).epsilon(1e-4));
        REQUIRE(scores.agree[at] ==
                (std::max_element(s, s + vocabulary) - s == std::max_element(r, r + vocabulary) - r));
        if (targets[at] < 0) {
            REQUIRE(scores.nll[at] == 0.0F);
        } else {
            REQUIRE(scores.nll[at] == Approx(std::log(zs) - s[targets[at]]).epsilon(1e-5));
        }
    }
    // The backward: loss by value, gradients by central differences of the loss. That of the head is added.
    Tensor gradient;
    Tensor head_gradient = Tensor::empty(head.shape());
    backend.fill(head_gradient, 3.0);
    REQUIRE(backend.kl_backward(features, head, reference, head, soft_cap, 0.5, gradient, &head_gradient) ==
            Approx(kl_sum).epsilon(1e-4));
    const auto slope = [&](const Tensor& at, std::int64_t i, const auto& loss) {
        const float h = 1e-2F;
        Tensor moved = at.clone();
        moved.data<float>()[i] += h;
        const double up = loss(moved);
        moved.data<float>()[i] -= 2 * h;
        return 0.5 * (up - loss(moved)) / (2 * static_cast<double>(h));
    };
    Tensor unused;
    for (const std::int64_t i : {0, 777, 2399}) {
        const double expected = slope(features, i, [&](const Tensor& moved) {
            return backend.kl_backward(moved, head, reference, head, soft_cap, 1.0, unused, nullptr);
        });
        REQUIRE(gradient.data<float>()[i] == Approx(expected).epsilon(5e-3).margin(2e-3));
    }
    for (const std::int64_t i : {std::int64_t{0}, head.size() / 2, head.size() - 1}) {
        const double expected = slope(head, i, [&](const Tensor& moved) {
            return backend.kl_backward(features, moved, reference, head, soft_cap, 1.0, unused, nullptr);
        });
        REQUIRE(head_gradient.data<float>()[i] - 3 == Approx(expected).epsilon(5e-3).margin(2e-3));
    }
}

TEST_CASE("cross entropy's gradient is that of its scores") {
    const double soft_cap = GENERATE(0.0, 6.0);
    Backend& backend = cpu_backend();
    const std::int64_t vocabulary = 700;
    const Tensor features = random_tensor({300, 16}, "features", DType::f32);
    const Tensor head = random_tensor({vocabulary, 16}, "head", DType::f32);
    std::vector<std::int32_t> targets(300);
    for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<std::int32_t>(i * 33 % 700);
    targets[5] = -1;
    const auto loss = [&](const Tensor& x) {
        double total = 0;
        for (const float nll : backend.score_tokens(x, head, targets, nullptr, nullptr, soft_cap).nll)
            total += static_cast<double>(nll);
        return total;
    };
    Tensor gradient;
    REQUIRE(backend.cross_entropy_backward(features, head, targets, soft_cap, 0.5, gradient) ==
            Approx(loss(features)).epsilon(1e-5));
    for (const std::int64_t i : {0, 777, 4799}) {
        Tensor moved = features.clone();
        const float h = 1e-2F;
        moved.data<float>()[i] += h;
        const double up = loss(moved);
        moved.data<float>()[i] -= 2 * h;
        REQUIRE(gradient.data<float>()[i] ==
                Approx(0.5 * (up - loss(moved)) / (2 * static_cast<double>(h))).epsilon(5e-3).margin(2e-3));
    }
    for (std::int64_t j = 0; j < 16; ++j) REQUIRE(gradient.data<float>()[5 * 16 + j] == 0.0F);

    std::vector<float> factors(300, 2.0F);
    factors[7] = 0;
    const Tensor scaled = backend.scale_rows(features, factors);
    REQUIRE(scaled.data<float>()[3] == 2 * features.data<float>()[3]);
    REQUIRE(scaled.data<float>()[7 * 16 + 2] == 0);
}

TEST_CASE("NaN goes through functions that compare, and scores of it have neither KL nor agreement") {
    Backend& backend = cpu_backend();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    // Enough for whole vectors and a rest, NaN at every place in turn.
    constexpr std::int64_t count = 21;
    for (std::int64_t at = 0; at < count; ++at) {
        Tensor x = random_tensor({1, count}, "x", DType::f32);
        const Tensor other = random_tensor({1, count}, "other", DType::f32);
        x.data<float>()[at] = nan;
        for (const Binary kind : {Binary::minimum, Binary::maximum}) {
            CHECK(std::isnan(backend.binary(kind, x, other).data<float>()[at]));
            CHECK(std::isnan(backend.binary(kind, other, x).data<float>()[at]));
        }
        for (const UnaryFunction& function : {UnaryFunction{Unary::relu},
                                              {Unary::clip, -1, 1},
                                              {Unary::leaky_relu, 0.1},
                                              {Unary::hard_sigmoid, 0.2, 0.5},
                                              {Unary::hard_swish},
                                              {Unary::silu},
                                              {Unary::gelu},
                                              {Unary::tanh},
                                              {Unary::sigmoid},
                                              {Unary::elu, 1},
                                              {Unary::absolute},
                                              {Unary::exponential},
                                              {Unary::softplus},
                                              {Unary::soft_cap, 2}})
            CHECK(std::isnan(backend.unary(function, x).data<float>()[at]));
        Windows windows;
        windows.images = 1;
        windows.channels = 1;
        windows.size = {1, count};
        windows.kernel = {1, count};
        windows.out_size = {1, 1};
        windows.padded_size = {1, count};
        CHECK(std::isnan(backend.pool(windows, Pooling::maximum, x).data<float>()[0]));
    }
    const Tensor features = random_tensor({3, 4}, "features", DType::f32);
    const Tensor head = random_tensor({50, 4}, "head", DType::f32);
    const BoundWeight bound_head(head);
    for (const float bad :
         {nan, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
        for (const bool in_reference : {true, false}) {
            Tensor one = features.clone();
            one.data<float>()[5] = bad;
            const std::vector<std::int32_t> targets{1, 2, 3};
            const TokenScores scores =
                in_reference ? backend.score_tokens(features, head, targets, &one, &bound_head, 0)
                             : backend.score_tokens(one, head, targets, &features, &bound_head, 0);
            CHECK(std::isnan(scores.kl[1]));
            CHECK(scores.agree[1] == 0);
            CHECK(std::isfinite(scores.kl[0]));
            CHECK(scores.kl[2] >= 0);
        }
    }
}
