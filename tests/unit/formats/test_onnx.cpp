// ONNX models against ONNX Runtime and ONNX's own tests; refusals; the permutation rules of all operators at
// once.
#include "core/formats/onnx.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/permutation.hpp"
#include "core/tensor/reorder.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/onnx_model.hpp"
#include "tests/support/onnx_runtime.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_permutations.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
namespace fs = std::filesystem;

std::vector<float> read_floats(const fs::path& path) {
    const std::string bytes = read_file(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// The largest difference relative to the larger one's size, from 1 on.
template <class A, class B>
double difference(const A& a, const B& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]);
        const auto y = static_cast<double>(b[i]);
        if (x == y || (std::isnan(x) && std::isnan(y))) continue;
        const double distance = std::abs(x - y) / std::max({1.0, std::abs(x), std::abs(y)});
        worst = std::isnan(distance) ? 1e9 : std::max(worst, distance);
    }
    return worst;
}

/// The model's output in float64 where every class of permutations that is free is put in another order.
std::vector<double> reordered_output(const LoweredOnnx& model, const Tensor& input) {
    const PermutationAnalysis analysis(model.graph);
    const Permutations permutations = test::random_permutations(analysis, 11);
    LoweredOnnx moved{model.graph, {}};
    for (ParameterId id = 0; id < static_cast<ParameterId>(model.graph.parameters().size()); ++id) {
        const Parameter& parameter = model.graph.parameter(id);
        const auto order = [&](int d) {
            return static_cast<int>(parameter.shape.size()) > d ? analysis.order({id, d}, permutations)
                                                                : std::vector<std::int32_t>();
        };
        moved.weights.emplace(parameter.name, reorder(model.weights.at(parameter.name), order(0), order(1)));
    }
    const Tensor y = test::run(moved, input, DType::f64);
    return {y.values<double>().begin(), y.values<double>().end()};
}

}  // namespace

TEST_CASE("operators from ONNX compute what ONNX Runtime does, in any order that the analysis allows") {
    const char* python = std::getenv("JLCM_PYTHON");
    JLCM_SKIP_UNLESS(python != nullptr && test::has_onnx_runtime(), "no ONNX Runtime (JLCM_PYTHON)");
    const test::TemporaryDirectory folder;
    const std::string command = fmt::format("{} {}/tests/golden/make_onnx_operators.py {}", python,
                                            JLCM_SOURCE_DIR, folder.path().string());
    REQUIRE(std::system(command.c_str()) == 0);  // NOLINT: a test's own command
    const auto cases = nlohmann::json::parse(read_file(folder.path() / "cases.json"));
    REQUIRE(cases.size() > 150);
    for (const auto& each : cases) {
        const auto name = each.at("name").get<std::string>();
        INFO(name);
        const OnnxModel model = parse_onnx(MappedFile(folder.path() / (name + ".onnx")).bytes());
        const LoweredOnnx lowered = lower_onnx(model, 1009);
        CHECK(to_json(lowered.graph) == to_json(lower_onnx(model, 1013).graph));
        const auto json = to_json(graph_from_json(to_json(lowered.graph)));
        CHECK(to_json(graph_from_json(json)) == json);
        const Tensor input = Tensor::from<float>(each.at("shape").get<Shape>(),
                                                 read_floats(folder.path() / (name + ".input")));
        const Tensor actual = test::run(lowered, input);
        CHECK(difference(actual.values<float>(), read_floats(folder.path() / (name + ".output"))) < 2e-5);
        const Tensor exact = test::run(lowered, input, DType::f64);
        CHECK(difference(exact.values<double>(), reordered_output(lowered, input)) < 1e-9);
    }
}

TEST_CASE("ONNX's own node tests give their outputs") {
    const fs::path root = "/usr/share/libonnx-testdata/data/node";
    JLCM_SKIP_UNLESS(fs::is_directory(root), "no libonnx-testdata");
    std::set<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(root)) folders.insert(entry.path());
    std::size_t passed = 0;
    for (const fs::path& folder : folders) {
        const fs::path data = folder / "test_data_set_0";
        const std::string name = folder.filename().string();
        INFO(name);
        std::optional<LoweredOnnx> lowered;
        OnnxTensor input;
        try {
            // All inputs but the first are constants here; their names stand in the order of the files.
            const MappedFile file(folder / "model.onnx");
            std::map<std::string, OnnxTensor> known;
            const std::vector<std::string> names = onnx_inputs(file.bytes());
            for (std::size_t i = 1; i < names.size(); ++i)
                known[names[i]] = test::onnx_tensor(data / fmt::format("input_{}.pb", i));
            input = test::onnx_tensor(data / "input_0.pb");
            if (!input.is_float()) continue;
            lowered = lower_onnx(parse_onnx(file.bytes(), known), 0);
        } catch (const Error& error) {
            REQUIRE(error.kind() == ErrorKind::input);  // not supported, and said so
            continue;
        }
        const OnnxTensor expected = test::onnx_tensor(data / "output_0.pb");
        // Casts to narrower numbers are left out; sizes that are no integers scale otherwise in ONNX Runtime
        // too.
        const bool differs =
            !expected.is_float() || name.starts_with("test_cast") ||
            (name.starts_with("test_resize_downsample_scales") && name.ends_with("align_corners"));
        if (differs) continue;
        const Tensor actual =
            test::run(*lowered, Tensor::from<float>(input.shape, std::span(input.floats())));
        CHECK(actual.shape() == expected.shape);
        if (actual.shape() == expected.shape)
            CHECK(difference(actual.values<float>(), expected.floats()) < 1e-4);
        ++passed;
    }
    CHECK(passed > 150);
}

TEST_CASE("what is not supported is refused by name before any work") {
    const auto chain = [](const std::string& type, std::vector<std::string> inputs) {
        OnnxModel model;
        model.opset = 13;
        model.input = "x";
        model.input_shape = {-1, 3, 4, 4};
        model.outputs = {"y"};
        model.nodes.push_back({"first", "Relu", {"x"}, {"r"}, {}});
        model.nodes.push_back({"odd one", type, std::move(inputs), {"y"}, {}});
        return model;
    };
    CHECK_THROWS_WITH(lower_onnx(chain("LSTM", {"r"}), 1009),
                      Catch::Contains("odd one") && Catch::Contains("LSTM") && Catch::Contains("opset 13"));
    CHECK_THROWS_WITH(lower_onnx(chain("Gather", {"r", "r"}), 1009),
                      Catch::Contains("odd one") && Catch::Contains("has to be known"));
    CHECK_THROWS_WITH(lower_onnx(chain("Conv", {"r"}), 1009), Catch::Contains("input 1 is missing"));
    OnnxModel open = chain("Relu", {"r"});
    open.input_shape = {-1, 3, -1, 4};
    CHECK_THROWS_WITH(lower_onnx(open, 1009), Catch::Contains("dimension 2"));
    for (const char* text : {"", "no model at all", "\x0a\xff\xff\xff\xff\x0f"})
        CHECK_THROWS_AS(parse_onnx(std::as_bytes(std::span(text, std::strlen(text)))), Error);
}
