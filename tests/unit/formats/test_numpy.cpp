// numpy's files against numpy, and damaged.
#include "core/base/files.hpp"
#include "core/formats/numpy.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <cstdlib>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("what is written as .npy and .npz is read again") {
    const Tensor a = Tensor::from<float>({2, 3}, std::vector<float>{1, 2, 3, 4, 5, -6});
    const Tensor b = Tensor::from<float>({1}, std::vector<float>{0.5F});
    const Tensor scalar = Tensor::from<float>({}, std::vector<float>{7});
    for (const Tensor& each : {a, b, scalar}) {
        const std::string written = npy_of(each);
        const Tensor read = parse_npy(bytes_of(written));
        CHECK(read.shape() == each.shape());
        CHECK(std::ranges::equal(read.values<float>(), each.values<float>()));
    }
    const auto arrays = parse_npz(bytes_of(npz_of({{"first", a}, {"second", b}})));
    REQUIRE(arrays.size() == 2);
    CHECK(arrays[0].first == "first");
    CHECK(std::ranges::equal(arrays[1].second.values<float>(), b.values<float>()));
}

TEST_CASE("numpy's files of every type, order and packing are read, and ours by numpy") {
    const char* python = std::getenv("JLCM_PYTHON");
    const std::string interpreter = python == nullptr ? "python3" : python;
    const test::TemporaryDirectory folder;
    const std::string place = folder.path().string();
    const std::string script = R"(
import sys, numpy as np
place = sys.argv[1]
x = np.arange(-6, 6).reshape(3, 4)
arrays = {t: x.astype(t) for t in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8')}
arrays.update({t: np.abs(x).astype(t) for t in ('u1', 'u2', 'u4', 'u8')})
arrays['order'] = np.asfortranarray(x.astype('f4'))
np.savez(place + '/stored.npz', **arrays)
np.savez_compressed(place + '/deflated.npz', **arrays)
np.save(place + '/big.npy', x.astype('>f4'))
)";
    write_file(folder.path() / "make.py", script);
    JLCM_SKIP_UNLESS(
        std::system((interpreter + " " + place + "/make.py " + place + " 2>/dev/null").c_str()) == 0,
        "no numpy (JLCM_PYTHON)");
    for (const char* name : {"stored.npz", "deflated.npz"}) {
        const std::string file = read_file(folder.path() / name);
        const auto arrays = parse_npz(bytes_of(file));
        REQUIRE(arrays.size() == 12);
        for (const auto& [type, array] : arrays) {
            INFO(name << " " << type);
            REQUIRE(array.shape() == Shape{3, 4});
            for (std::int64_t i = 0; i < 12; ++i) {
                const auto value = static_cast<float>(i - 6);
                CHECK(array.data<float>()[i] == (type.starts_with("u") ? std::abs(value) : value));
            }
        }
    }
    const std::string big = read_file(folder.path() / "big.npy");
    CHECK_THROWS_WITH(parse_npy(bytes_of(big)), Catch::Contains("little-endian"));
    write_file(folder.path() / "ours.npz", npz_of({{"a", Tensor::zeros({2, 5})}}));
    CHECK(std::system((interpreter + " -c \"import numpy as np; assert np.load('" + place +
                       "/ours.npz')['a'].shape == (2, 5)\"")
                          .c_str()) == 0);
}

TEST_CASE("damaged files of numpy are refused or read, and nothing worse") {
    const Tensor a = Tensor::zeros({4, 3});
    const std::string npy = npy_of(a);
    const std::string npz = npz_of({{"a", a}, {"b", a}});
    const auto as_bytes = [](const std::string& text) {
        const auto all = bytes_of(text);
        return test::Bytes(all.begin(), all.end());
    };
    const int refused =
        test::mutate([](std::span<const std::byte> bytes) { (void)parse_npy(bytes, 1 << 20); }, as_bytes(npy),
                     npy.size(), 300);
    CHECK(refused > 50);
    CHECK(test::mutate([](std::span<const std::byte> bytes) { (void)parse_npz(bytes, 1 << 20); },
                       as_bytes(npz), npz.size(), 300) > 50);
}
