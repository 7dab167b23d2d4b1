// The uncompressed default model against llama.cpp, window by window of the WikiText-2 test (the reference
// kept a float16 KV cache, hence the tolerance).
#include "core/base/files.hpp"
#include "core/model/scoring.hpp"
#include "tests/support/assets.hpp"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// Column `column` of a parity file: one row a window, its number first.
[[maybe_unused]] std::vector<double> reference(const std::filesystem::path& path, int column,
                                               std::size_t count) {
    std::ifstream file(path);
    std::vector<double> values;
    std::vector<double> row(static_cast<std::size_t>(column) + 1);
    std::string line;
    while (values.size() < count && std::getline(file, line)) {
        std::istringstream words(line);
        for (double& value : row) words >> value;
        values.push_back(row.back());
    }
    return values;
}

}  // namespace

TEST_CASE("negative log-likelihood per window equals llama.cpp's within 5e-4") {
#ifdef __SANITIZE_ADDRESS__
    test::skip("whole windows take minutes under a sanitizer");
#else
    const auto model_path = test::default_model();
    const auto assets = test::assets();
    JLCM_SKIP_UNLESS(model_path, "no default model; scripts/fetch_model.sh gets it");
    JLCM_SKIP_UNLESS(assets, "no assets with parity figures");
    const Model model(read_checkpoint(*model_path));
    const auto ids =
        model.input().tokenizer->encode(read_file(*assets / "data/text/wikitext-2-raw-test.txt"));
    struct Case {
        const char* file;
        int column;
        std::int64_t context;
        Positions positions;
        std::int64_t windows;
        DType compute;
        double tolerance;
    };
    // bfloat16 has no reference of its own; its rounding moves a window's mean by a few thousandths at most.
    std::vector<Case> cases = {{"hf2048_F32.win", 1, 2048, Positions::all, 2, DType::f32, 5e-4},
                               {"hf512_F32.win", 1, 512, Positions::all, 4, DType::f32, 5e-4},
                               {"hf512_F32.win", 2, 512, Positions::second_half, 4, DType::f32, 5e-4}};
    if (cpu_backend().has_bfloat16())
        cases.push_back({"hf2048_F32.win", 1, 2048, Positions::all, 2, DType::bf16, 5e-3});
    for (const Case& c : cases) {
        const auto expected =
            reference(*assets / "parity" / c.file, c.column, static_cast<std::size_t>(c.windows));
        const BoundModel bound(model, c.compute, cpu_backend());
        ScoringOptions options;
        options.context = c.context;
        options.positions = c.positions;
        const auto scores = score_windows({&bound}, ids, options, c.windows).front();
        for (std::size_t w = 0; w < scores.size(); ++w) {
            INFO(c.file << " window " << w << ", " << name_of(c.compute));
            REQUIRE(scores[w].nll / static_cast<double>(scores[w].tokens) ==
                    Approx(expected.at(w)).margin(c.tolerance).epsilon(0));
        }
    }
#endif
}
