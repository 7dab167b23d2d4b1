// States on disk: what is saved comes back to the same bits, what is damaged does not come back.

#include "core/base/files.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/store/matrix_state.hpp"
#include "core/store/saved_state.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

SavedState some_state() {
    SavedState state{.words = {{"steps", "17"}, {"metrics", "{\"loss\":1}\n"}}, .tensors = {}};
    state.tensors.push_back({"z", random_tensor({3, 5}, "z", DType::f32)});
    state.tensors.push_back({"a", random_tensor({7}, "a", DType::bf16)});
    state.tensors.push_back({"codes", Tensor::zeros({4, 4}, DType::u8)});
    return state;
}

}  // namespace

TEST_CASE("a saved state comes back with its words, its tensors and their order") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "deep/state";
    const SavedState state = some_state();
    save_state(path, state);
    const auto loaded = load_state(path);
    REQUIRE(loaded);
    CHECK(loaded->words == state.words);
    REQUIRE(loaded->tensors.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(loaded->tensors[i].name == state.tensors[i].name);
        CHECK(loaded->tensors[i].tensor.shape() == state.tensors[i].tensor.shape());
        CHECK(std::ranges::equal(loaded->tensors[i].tensor.bytes(), state.tensors[i].tensor.bytes()));
    }
    CHECK_FALSE(loaded->find("none").defined());
}

TEST_CASE("a state that is missing, cut or changed anywhere is not used") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "state";
    CHECK_FALSE(load_state(path));
    save_state(path, some_state());
    const std::string whole = read_file(path);
    for (std::size_t at = 0; at < whole.size(); at += 7) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 4);
        write_file(path, damaged);
        INFO("byte " << at);
        CHECK_FALSE(load_state(path));
    }
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
        write_file(path, whole.substr(0, size));
        CHECK_FALSE(load_state(path));
    }
    write_file(path, whole);
    CHECK(load_state(path));
}

TEST_CASE("compressed matrices of every make come back from a state") {
    const Tensor weights = random_tensor({6, 8}, "weights", DType::f32);
    std::vector<CompressedMatrix> matrices;
    matrices.push_back(CompressedMatrix::zeros(Layout::per_row(6, 8, 3)));
    Layout grouped = Layout::per_tensor(6, 8, 2);
    grouped.row_groups = 2;
    grouped.runs = {{0, 1}, {4, 0}};
    grouped.shared_codebook = true;
    CompressedMatrix rich = CompressedMatrix::zeros(grouped);
    rich.scales = Tensor::from<float>({2}, std::vector<float>{0.5F, 2.0F});
    rich.offsets = Tensor::from<float>({2}, std::vector<float>{-1.0F, 0.25F});
    rich.row_order = {5, 4, 3, 2, 1, 0};
    rich.outliers = {{0, 1, 1, 1, 1, 1, 2}, {3, 0}, {1.5F, -2.0F}};
    map_to_nearest(rich, weights);
    matrices.push_back(std::move(rich));

    SavedState state;
    for (std::size_t i = 0; i < matrices.size(); ++i)
        append_matrix(state, "m" + std::to_string(i), matrices[i]);
    for (std::size_t i = 0; i < matrices.size(); ++i)
        CHECK(restore_matrix(state, "m" + std::to_string(i)).identical(matrices[i]));
    CHECK_THROWS_WITH(restore_matrix(state, "other"), Catch::Contains("other is not in the saved state"));
}

TEST_CASE("a state left on disk gives the same tensors, also after its pages were given back") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "state";
    SavedState state = some_state();
    Tensor codes = Tensor::empty({300, 1000}, DType::u8);
    for (std::int64_t i = 0; i < codes.size(); ++i)
        codes.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * i >> 5);
    state.tensors.push_back({"more codes", codes});
    save_state(path, state);
    const auto loaded = load_state(path, StateResidence::file);
    REQUIRE(loaded);
    std::filesystem::remove(path);  // the mapping keeps the content
    release_mapped_pages();
    REQUIRE(loaded->tensors.size() == state.tensors.size());
    for (std::size_t i = 0; i < state.tensors.size(); ++i)
        CHECK(std::ranges::equal(loaded->tensors[i].tensor.bytes(), state.tensors[i].tensor.bytes()));
}
