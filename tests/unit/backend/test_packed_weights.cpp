// Products with packed weights are those with the dense weights that they decode to, to the bit.
#include "core/backend/backend.hpp"
#include "tests/support/random.hpp"

#include <cstring>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

class PlainWeight final : public PackedWeight {
  public:
    explicit PlainWeight(Tensor values) : values_(std::move(values)) {}
    std::int64_t rows() const override { return values_.rows(); }
    std::int64_t cols() const override { return values_.cols(); }
    void decode(std::int64_t begin, std::int64_t end, float* out) const override {
        const Tensor part = values_.slice(begin, end);
        std::copy_n(part.data<float>(), part.size(), out);
    }
    std::string describe() const override { return "plain"; }

  private:
    Tensor values_;
};

bool same_bits(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_count()) == 0;
}

std::vector<DType> types(Backend& backend) {
    std::vector<DType> result{DType::f32};
    if (backend.has_bfloat16()) result.push_back(DType::bf16);
    return result;
}

}  // namespace

TEST_CASE("a packed weight gives the bits of the dense one") {
    Backend& backend = cpu_backend();
    for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{1, 7},
                               {3, 64},
                               {100, 96},
                               {576, 576},
                               {1536, 576},
                               {576, 1536},
                               {2049, 320},
                               {192, 576}}) {
        const Tensor weight = test::random_tensor({n, k}, "weight", DType::f32, 0.1);
        const auto packed = std::make_shared<const PlainWeight>(weight);
        for (const std::int64_t m : {1, 2, 5, 17, 64, 200, 256, 257, 700}) {
            const Tensor x = test::random_tensor({m, k}, "rows", DType::f32, 1.0);
            for (const DType type : types(backend)) {
                CAPTURE(n, k, m, name_of(type));
                const Tensor rows = backend.convert(x, type);
                const Tensor dense = backend.product(rows, BoundWeight(backend.convert(weight, type)));
                CHECK(same_bits(backend.product(rows, BoundWeight(packed, type)), dense));
            }
        }
    }
}

TEST_CASE("predictions from a packed head have the bits of the dense one") {
    Backend& backend = cpu_backend();
    const Tensor head = test::random_tensor({4133, 64}, "head", DType::f32, 0.3);
    const Tensor other = test::random_tensor({4133, 64}, "other", DType::f32, 0.3);
    const Tensor features = test::random_tensor({333, 64}, "features", DType::f32, 1.0);
    std::vector<std::int32_t> targets(333);
    for (std::size_t i = 0; i < targets.size(); ++i)
        targets[i] = static_cast<std::int32_t>((i * 977) % 4133) - 1;
    for (const DType type : types(backend)) {
        CAPTURE(name_of(type));
        const Tensor x = backend.convert(features, type);
        const BoundWeight dense(backend.convert(head, type));
        const BoundWeight dense_other(backend.convert(other, type));
        const BoundWeight packed(std::make_shared<const PlainWeight>(head), type);
        const BoundWeight packed_other(std::make_shared<const PlainWeight>(other), type);
        const TokenScores a = backend.score_tokens(x, dense, targets, &x, &dense_other, 0);
        for (const TokenScores& b : {backend.score_tokens(x, packed, targets, &x, &packed_other, 0),
                                     backend.score_tokens(x, packed, targets, &x, &dense_other, 0),
                                     backend.score_tokens(x, dense, targets, &x, &packed_other, 0)}) {
            CHECK(a.nll == b.nll);
            CHECK(a.reference_nll == b.reference_nll);
            CHECK(a.kl == b.kl);
            CHECK(a.agree == b.agree);
        }
        CHECK(a.nll == backend.score_tokens(x, packed, targets, nullptr, nullptr, 0).nll);
    }
}

TEST_CASE("embeddings of a packed table, re-ordered or not, are its rows") {
    Backend& backend = cpu_backend();
    const Tensor table = test::random_tensor({50, 24}, "table", DType::f32, 1.0);
    const auto packed = std::make_shared<const PlainWeight>(table);
    const Tensor ids = test::random_ids({3, 40}, 50, "ids");
    CHECK(same_bits(backend.embedding(ids, BoundWeight(packed, DType::f32)), backend.embedding(ids, table)));
    CHECK_THROWS(backend.embedding(Tensor::from<std::int32_t>({1}, std::vector<std::int32_t>{50}),
                                   BoundWeight(packed, DType::f32)));

    std::vector<std::int32_t> rows(50);
    std::vector<std::int32_t> columns(24);
    for (std::int32_t i = 0; i < 50; ++i) rows[static_cast<std::size_t>(i)] = (i * 7) % 50;
    for (std::int32_t i = 0; i < 24; ++i) columns[static_cast<std::size_t>(i)] = (i * 5) % 24;
    const auto moved = reordered(packed, rows, columns);
    std::vector<float> out(50 * 24);
    moved->decode(0, 50, out.data());
    bool equal = true;
    for (std::size_t i = 0; i < 50; ++i)
        for (std::size_t j = 0; j < 24; ++j)
            equal = equal && out[i * 24 + j] == table.data<float>()[rows[i] * 24 + columns[j]];
    CHECK(equal);
}
