#include "core/base/files.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/artifact.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace jlcm;

namespace {

std::filesystem::path temporary(const std::string& name) {
    return std::filesystem::temp_directory_path() /
           ("jlcm-artifact-" + std::to_string(getpid()) + "-" + name);
}

CompressedMatrix random_matrix(Layout layout, std::uint64_t seed) {
    const Rng rng(seed, "artifact");
    CompressedMatrix m = CompressedMatrix::zeros(std::move(layout));
    auto c = m.codebooks.values<float>();
    const auto k = static_cast<std::ptrdiff_t>(m.layout.codewords());
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(rng.normal(i));
    if (m.layout.dimension == 1)
        for (auto at = c.begin(); at != c.end(); at += k) std::sort(at, at + k);
    auto map = m.mapping.values<std::uint8_t>();
    for (std::size_t i = 0; i < map.size(); ++i)
        map[i] = static_cast<std::uint8_t>(rng.bits(i) % static_cast<std::uint64_t>(k));
    return m;
}

/// Every feature of the format.
struct Sample {
    std::vector<std::byte> q8 = encode(std::vector<float>(96, 0.5F), Encoding::q8_0);
    std::vector<std::byte> norm = encode(std::vector<float>{1, 2, 3}, Encoding::f32);
    Artifact artifact;

    Sample() {
        artifact.matrices["a"] = random_matrix(Layout::per_row(5, 64, 2), 1);
        Layout runs = Layout::per_row(7, 12, 3);
        runs.row_groups = 2;
        runs.runs = {{0, 1}, {2, 0}, {5, 1}};
        runs.column_group = 8;
        auto b = random_matrix(runs, 2);
        b.row_order = {3, 1, 2, 0, 6, 5, 4};
        b.scales = Tensor::from<float>({4}, std::vector<float>{1, 2, 3, 4});
        b.offsets = Tensor::from<float>({4}, std::vector<float>{.1F, .2F, .3F, .4F});
        b.outliers = {{0, 2, 2, 2, 2, 2, 2, 3}, {0, 11, 5}, {100, -50, 25}};
        artifact.matrices["b"] = b;
        Layout vector = Layout::per_tensor(6, 16, 8);
        vector.dimension = 4;
        vector.residual = 2;
        artifact.matrices["c"] = random_matrix(vector, 3);
        for (auto& [name, matrix] : artifact.matrices) matrix.round_to_storage(name);
        const auto add = [&](const char* name, Shape shape, Encoding encoding,
                             const std::vector<std::byte>& bytes) {
            StoredTensor tensor;
            tensor.name = name;
            tensor.shape = std::move(shape);
            tensor.encoding = encoding;
            tensor.bytes = bytes;
            artifact.tensors[name] = tensor;
        };
        add("embedding", {3, 32}, Encoding::q8_0, q8);
        add("norm", {3}, Encoding::f32, norm);
        artifact.config = {{"model_type", "llama"}, {"hidden_size", 3}};
        artifact.provenance = {{"seed", 7}};
        artifact.tokenizer = {"gguf", R"({"tokens": ["a", "b"]})"};
        artifact.files = {{"tokenizer.json", artifact.tokenizer.data},
                          {"tokenizer.model", std::string("\0\xff", 2)},
                          {"additional_chat_templates/tool.jinja", "{{ messages }}"}};
    }
};

}  // namespace

TEST_CASE("an artifact reads back to the same bits, and writes the same bytes") {
    const Sample sample;
    const auto path = temporary("round");
    write_artifact(path, sample.artifact);
    const std::string first = read_file(path);
    const Artifact back = read_artifact(path);
    REQUIRE(back.matrices.size() == 3);
    for (const auto& [name, matrix] : sample.artifact.matrices)
        CHECK(back.matrices.at(name).identical(matrix));
    REQUIRE(back.tensors.size() == 2);
    for (const auto& [name, tensor] : sample.artifact.tensors) {
        const auto& other = back.tensors.at(name);
        CHECK(other.encoding == tensor.encoding);
        CHECK(other.shape == tensor.shape);
        CHECK(std::equal(other.bytes.begin(), other.bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
    }
    CHECK(back.config == sample.artifact.config);
    CHECK(back.provenance == sample.artifact.provenance);
    CHECK(back.tokenizer.format == "gguf");
    CHECK(back.tokenizer.data == sample.artifact.tokenizer.data);
    CHECK(back.files == sample.artifact.files);
    CHECK(back.weights("a").shape() == Shape{5, 64});
    CHECK(back.weights("norm").data<float>()[2] == 3);
    CHECK_THROWS_WITH(back.weights("d"), Catch::Contains("'d'"));
    write_artifact(path, back);
    CHECK(read_file(path) == first);
    std::filesystem::remove(path);
}

namespace {

/// All rows of a packed weight, decoded some at a time.
std::vector<float> decoded(const PackedWeight& weight, std::int64_t step) {
    std::vector<float> out(static_cast<std::size_t>(weight.rows() * weight.cols()));
    for (std::int64_t begin = 0; begin < weight.rows(); begin += step)
        weight.decode(begin, std::min(begin + step, weight.rows()), out.data() + begin * weight.cols());
    return out;
}

}  // namespace

TEST_CASE("a mapped artifact decodes to the same bits, any rows at a time") {
    const Sample sample;
    const auto path = temporary("mapped.safetensors");
    Artifact artifact = sample.artifact;
    // Rows of every width and rows that share words, in place and in another order.
    for (int bits = 1; bits <= 8; ++bits)
        for (const std::int64_t cols : {3, 32, 96, 576, 1000}) {
            CompressedMatrix matrix = random_matrix(Layout::per_row(9, cols, bits), 17);
            if (cols == 96) matrix.row_order = {8, 0, 7, 1, 6, 2, 5, 3, 4};
            matrix.round_to_storage("matrix");
            artifact.matrices[fmt::format("bits {} cols {}", bits, cols)] = matrix;
        }
    write_artifact(path, artifact);
    const MappedArtifact mapped = map_artifact(path);
    CHECK(mapped.matrices.size() == artifact.matrices.size());
    CHECK(mapped.provenance == artifact.provenance);
    CHECK(mapped.files == artifact.files);
    for (const auto& [name, matrix] : artifact.matrices) {
        CAPTURE(name);
        const Tensor dense = decode(matrix);
        const std::vector<float> expected(dense.values<float>().begin(), dense.values<float>().end());
        const auto packed = make_packed_weight(mapped.matrices.at(name));
        const auto unpacked = make_packed_weight(matrix);
        for (const std::int64_t step : {1, 2, 100}) {
            CHECK(decoded(*packed, step) == expected);
            CHECK(decoded(*unpacked, step) == expected);
        }
        std::vector<std::uint16_t> rounded(expected.size());
        packed->decode_bfloat16(0, packed->rows(), rounded.data());
        const Tensor bfloat16 = dense.to(DType::bf16);
        CHECK(std::equal(rounded.begin(), rounded.end(), bfloat16.data<std::uint16_t>()));
    }
    std::filesystem::remove(path);
}

TEST_CASE("the footprint accounts for every byte") {
    const Sample sample;
    const auto path = temporary("footprint");
    write_artifact(path, sample.artifact);
    const auto footprint = artifact_footprint(path);
    CHECK(footprint.bytes.total() == std::filesystem::file_size(path));
    CHECK(footprint.compressed_weights == 5 * 64 + 7 * 12 + 6 * 16);
    CHECK(footprint.weights == footprint.compressed_weights + 96 + 3);
    CHECK(footprint.bytes.runs == 3 * 8);
    CHECK(footprint.bytes.permutation == 14);
    CHECK(footprint.bytes.scales == 16);
    CHECK(footprint.bytes.outliers == 8 * 4 + 3 * 6);
    CHECK(footprint.bytes.codebooks == 2 * (5 * 4 + 4 * 8 + 2 * 256 * 4));
    CHECK(footprint.bytes.mapping == 5 * 64 / 4 + (7 * 12 * 3 + 7) / 8 + 2 * 6 * 4);
    CHECK(footprint.linear_bits_per_weight() ==
          Approx(8.0 * static_cast<double>(footprint.bytes.compressed()) /
                 static_cast<double>(footprint.compressed_weights)));
    std::filesystem::remove(path);
}

TEST_CASE("per-row codebooks of SmolLM2's shapes cost 2.094 bits") {
    double bytes = 0;
    double weights = 0;
    for (const auto& [rows, cols] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {576, 576}, {192, 576}, {192, 576}, {576, 576}, {1536, 576}, {1536, 576}, {576, 1536}}) {
        const auto path = temporary("shape");
        Artifact artifact;
        artifact.matrices["w"] = random_matrix(Layout::per_row(rows, cols, 2), 1);
        artifact.matrices["w"].round_to_storage("w");
        write_artifact(path, artifact);
        const auto footprint = artifact_footprint(path);
        CHECK(footprint.bytes.padding == 0);
        bytes += static_cast<double>(footprint.bytes.compressed());
        weights += static_cast<double>(rows * cols);
        std::filesystem::remove(path);
    }
    CHECK(8 * bytes / weights == Approx(2.094).margin(0.0005));
}

namespace {

/// Reads a file in both ways, and every weight of it.
void read_all(const std::filesystem::path& path) {
    const MappedArtifact mapped = map_artifact(path);
    for (const auto& [name, matrix] : mapped.matrices) (void)decoded(*make_packed_weight(matrix), 7);
    (void)read_artifact(path);
}

}  // namespace

TEST_CASE("damaged artifacts are refused and never crash") {
    const Sample sample;
    const auto path = temporary("damage");
    write_artifact(path, sample.artifact);
    const std::string good = read_file(path);
    CHECK_THROWS_WITH(read_artifact(path.string() + ".none"), Catch::Contains(".none"));
    // Truncated anywhere.
    for (std::size_t length = 0; length < good.size(); length += 499) {
        write_file(path, good.substr(0, length));
        CHECK_THROWS_AS(read_artifact(path), Error);
        CHECK_THROWS_AS(map_artifact(path), Error);
    }
    // One byte changed anywhere in the header: either still readable, or refused by our error.
    std::uint64_t header = 0;
    std::memcpy(&header, good.data(), 8);
    const Rng rng(1, "damage");
    for (std::uint64_t i = 0; i < 300; ++i) {
        std::string bad = good;
        bad[rng.bits(2 * i) % (8 + header)] = static_cast<char>(rng.bits(2 * i + 1));
        write_file(path, bad);
        try {
            read_all(path);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::input);
        }
    }
    // Well-formed values that lie.
    const auto replace = [&](const std::string& from, const std::string& to) {
        std::string bad = good;
        const auto at = bad.find(from);
        REQUIRE(at != std::string::npos);
        REQUIRE(from.size() == to.size());
        bad.replace(at, from.size(), to);
        write_file(path, bad);
        CHECK_THROWS_WITH(read_artifact(path), Catch::Contains(path.string()));
        CHECK_THROWS_WITH(map_artifact(path), Catch::Contains(path.string()));
    };
    replace(R"(\"rows\":5)", R"(\"rows\":6)");
    replace(R"(\"cols\":64)", R"(\"cols\":32)");
    replace(R"(\"bits\":2)", R"(\"bits\":0)");
    replace(R"(\"bits\":2)", R"(\"bits\":9)");
    replace(R"("version":"1")", R"("version":"2")");
    replace(R"("format":"jlcm")", R"("format":"jlcn")");
    replace("Q8_0", "Q8_9");
    std::filesystem::remove(path);
}
