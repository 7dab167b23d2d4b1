// The footprint of an artifact before it is written: equal to the file, to the byte, over random layouts.

#include "core/base/rng.hpp"
#include "core/codebook/artifact.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// Numbers drawn one after another.
class Draws {
  public:
    explicit Draws(std::uint64_t seed) : rng_(seed, "footprint") {}
    std::int64_t below(std::int64_t end) {
        return static_cast<std::int64_t>(rng_.bits(at_++) % static_cast<std::uint64_t>(end));
    }
    bool coin() { return below(2) == 1; }

  private:
    Rng rng_;
    std::uint64_t at_ = 0;
};

/// Any cut that Layout::validate takes.
Layout random_layout(Draws& draw) {
    Layout layout;
    layout.bits = 1 + static_cast<int>(draw.below(8));
    layout.dimension = draw.below(3) == 0 ? 1 << draw.below(4) : 1;
    layout.residual = draw.below(3) == 0 ? 1 + static_cast<int>(draw.below(3)) : 1;
    layout.rows = 1 + draw.below(40);
    layout.cols = layout.dimension * (1 + draw.below(30));
    if (draw.coin())
        layout.column_group = layout.dimension * (1 + draw.below(layout.cols / layout.dimension));
    layout.row_groups = draw.coin() ? layout.rows : 1;
    if (layout.rows > 2 && draw.coin()) {
        layout.row_groups = 1 + draw.below(layout.rows - 1);
        for (std::int64_t g = 0; g < layout.row_groups; ++g) layout.runs.push_back({g, g});
        // Groups may come back.
        if (layout.row_groups > 1 && draw.coin()) layout.runs.push_back({layout.row_groups, 0});
    }
    layout.shared_codebook = draw.coin();
    return layout;
}

/// Zeros with everything that the file may hold.
CompressedMatrix random_matrix(Draws& draw) {
    CompressedMatrix matrix = CompressedMatrix::zeros(random_layout(draw));
    const Layout& layout = matrix.layout;
    if (layout.shared_codebook || draw.coin()) matrix.scales = Tensor::zeros({layout.groups()});
    if (matrix.scales.defined() && draw.coin()) matrix.offsets = Tensor::zeros({layout.groups()});
    if (draw.coin()) {
        matrix.row_order.resize(static_cast<std::size_t>(layout.rows));
        std::iota(matrix.row_order.rbegin(), matrix.row_order.rend(), 0);
    }
    if (draw.coin()) {
        matrix.outliers.row_start.push_back(0);
        for (std::int64_t row = 0; row < layout.rows; ++row) {
            if (draw.coin() || row == 0) {
                matrix.outliers.column.push_back(static_cast<std::int32_t>(draw.below(layout.cols)));
                matrix.outliers.value.push_back(1);
            }
            matrix.outliers.row_start.push_back(static_cast<std::int32_t>(matrix.outliers.column.size()));
        }
    }
    return matrix;
}

StoredTensor random_tensor(Draws& draw, const std::string& name, std::vector<std::vector<std::byte>>& owner) {
    static const std::vector<Encoding> encodings{Encoding::f32,  Encoding::f16,  Encoding::bf16,
                                                 Encoding::q8_0, Encoding::q4_1, Encoding::q6_k};
    StoredTensor tensor;
    tensor.name = name;
    tensor.encoding = encodings[static_cast<std::size_t>(draw.below(std::ssize(encodings)))];
    tensor.shape = {1 + draw.below(5), block_values(tensor.encoding) * (1 + draw.below(3))};
    owner.emplace_back(encoded_bytes(tensor.encoding, tensor.shape));
    tensor.bytes = owner.back();
    return tensor;
}

}  // namespace

TEST_CASE("the footprint of an artifact's form is that of its file, to the byte, for any layout") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "artifact.safetensors";
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        INFO("seed " << seed);
        Draws draw(seed);
        std::vector<std::vector<std::byte>> owner;
        Artifact artifact;
        for (std::int64_t i = draw.below(4); i >= 0; --i) {
            const std::string name = fmt::format("matrix{}", i);
            CompressedMatrix matrix = random_matrix(draw);
            matrix.validate(name);
            artifact.matrices.emplace(name, std::move(matrix));
        }
        for (std::int64_t i = draw.below(3); i > 0; --i) {
            const std::string name = fmt::format("tensor{}", i);
            artifact.tensors.emplace(name, random_tensor(draw, name, owner));
        }
        artifact.config = {{"model_type", "llama"}};
        artifact.provenance = {{"seed", seed},
                               {"name", std::string(static_cast<std::size_t>(seed % 9), 'x')}};
        if (draw.coin()) artifact.tokenizer = {"gguf", std::string(static_cast<std::size_t>(seed), 't')};
        // Some of the files are the tokenizer's source, which is stored once.
        for (std::int64_t i = draw.below(4); i > 0; --i)
            artifact.files[fmt::format("file{}", i)] =
                draw.coin() ? artifact.tokenizer.data
                            : std::string(static_cast<std::size_t>(draw.below(20)), 'f');

        const ArtifactFootprint before = artifact_footprint(form_of(artifact));
        write_artifact(path, artifact);
        const ArtifactFootprint after = artifact_footprint(path);
        REQUIRE(before.bytes.total() == std::filesystem::file_size(path));
        REQUIRE(before.to_json() == after.to_json());
    }
}

TEST_CASE("stored orders of more than 65536 rows take four bytes a row") {
    for (const std::int64_t rows : {std::int64_t{65536}, std::int64_t{65537}}) {
        const MatrixForm form{.layout = Layout::per_tensor(rows, 1, 1), .row_order = true};
        ArtifactForm artifact;
        artifact.matrices["m"] = form;
        const auto footprint = artifact_footprint(artifact);
        CHECK(footprint.bytes.permutation == static_cast<std::uint64_t>(rows) * (rows <= 65536 ? 2 : 4));
    }
}
