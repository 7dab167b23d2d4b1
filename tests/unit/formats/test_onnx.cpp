// ONNX models against ONNX Runtime and ONNX's own tests; refusals; the permutation rules of all operators at
// once.
#include "core/formats/onnx.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/permutation.hpp"
#include "core/tensor/reorder.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/mutation.hpp"
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

LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch) {
    return jlcm::lower_onnx(model, batch, cpu_backend());
}
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
    LoweredOnnx moved{model.graph, {}, {}, {}};
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

/// A file as a checkpoint has it: at any batch size.
LoweredOnnx read(const fs::path& path) {
    const Checkpoint checkpoint = read_onnx_checkpoint(path);
    LoweredOnnx model{graph_from_json(checkpoint.config.at("graph")), {}, {}, {}};
    for (const auto& [name, stored] : checkpoint.tensors) model.weights.emplace(name, decode(stored));
    return model;
}

/// The models of tests/golden/make_onnx_operators.py; null where there is no ONNX Runtime.
class OperatorCases {
  public:
    OperatorCases() {
        const char* python = std::getenv("JLCM_PYTHON");
        is_there_ = python != nullptr && test::has_onnx_runtime();
        if (!is_there_) return;
        const std::string command = fmt::format("{} {}/tests/golden/make_onnx_operators.py {}", python,
                                                JLCM_SOURCE_DIR, folder_.path().string());
        REQUIRE(std::system(command.c_str()) == 0);  // NOLINT: a test's own command
        cases_ = nlohmann::json::parse(read_file(path("cases", ".json")));
    }
    [[nodiscard]] bool is_there() const { return is_there_; }
    [[nodiscard]] const nlohmann::json& cases() const { return cases_; }
    [[nodiscard]] fs::path path(const std::string& name, const char* ending) const {
        return folder_.path() / (name + ending);
    }

  private:
    test::TemporaryDirectory folder_;
    bool is_there_ = false;
    nlohmann::json cases_;
};

std::int64_t linear_weights(const Graph& graph) {
    std::int64_t count = 0;
    for (const Parameter& each : graph.parameters())
        if (each.linear) count += element_count(each.shape);
    return count;
}

/// One image of 3 x 4 x 4 through nodes.
OnnxModel model_of(std::vector<OnnxNode> nodes) {
    OnnxModel model;
    model.opset = 13;
    model.inputs = {{"x", {-1, 3, 4, 4}}};
    model.outputs = {nodes.back().outputs.front()};
    model.nodes = std::move(nodes);
    return model;
}

}  // namespace

TEST_CASE("operators from ONNX compute what ONNX Runtime does, in any order that the analysis allows") {
    const OperatorCases operators;
    JLCM_SKIP_UNLESS(operators.is_there(), "no ONNX Runtime (JLCM_PYTHON)");
    REQUIRE(operators.cases().size() > 400);
    for (const auto& each : operators.cases()) {
        const auto name = each.at("name").get<std::string>();
        INFO(name);
        const fs::path path = operators.path(name, ".onnx");
        // Its batch is open, and a constant shape inside says one sample: opened as a file for one is.
        const bool is_open = each.at("batch").is_null() && name != "batch_in_name_only";
        const LoweredOnnx lowered =
            is_open ? lower_onnx(parse_onnx(MappedFile(path).bytes()), 1009) : read(path);
        if (is_open)
            CHECK(to_json(lowered.graph) ==
                  to_json(lower_onnx(parse_onnx(MappedFile(path).bytes()), 1013).graph));
        const auto json = to_json(graph_from_json(to_json(lowered.graph)));
        CHECK(to_json(graph_from_json(json)) == json);
        Tensor input =
            Tensor::from<float>(each.at("shape").get<Shape>(), read_floats(operators.path(name, ".input")));
        CHECK(lowered.graph.one_by_one() == name.starts_with("mixed_"));
        if (lowered.graph.one_by_one()) {
            Shape shape = lowered.graph.input_shape();
            shape[0] = input.size() / element_count(shape);
            input = input.reshape(shape);
        }
        const Tensor actual = test::run(lowered, input);
        CHECK(difference(actual.values<float>(), read_floats(operators.path(name, ".output"))) < 2e-5);
        const Tensor exact = test::run(lowered, input, DType::f64);
        CHECK(difference(exact.values<double>(), reordered_output(lowered, input)) < 1e-9);
    }
}

TEST_CASE("a weight on the left of a product is a linear weight as one on the right is") {
    const OperatorCases operators;
    JLCM_SKIP_UNLESS(operators.is_there(), "no ONNX Runtime (JLCM_PYTHON)");
    const auto graph_of = [&](const std::string& name) { return read(operators.path(name, ".onnx")).graph; };
    for (const auto& each : operators.cases()) {
        const auto name = each.at("name").get<std::string>();
        INFO(name);
        if (name.ends_with("__constant")) continue;
        if (name.starts_with("gemm_left")) CHECK(linear_weights(graph_of(name)) == 20);
        if (name == "matmul_left_of_samples") CHECK(linear_weights(graph_of(name)) == 20);
        if (name == "matmul_batched") CHECK(linear_weights(graph_of(name)) == 20);
        if (name == "mixer") CHECK(linear_weights(graph_of(name)) == 2 * 30 + 2 * 28);
    }
    // Its rows are its outputs, and its columns go with the features of what it multiplies.
    const Graph mixer = graph_of("mixer");
    CHECK(mixer.parameter(mixer.find_parameter("w1").value()).shape == Shape{5, 6});
    const PermutationAnalysis analysis(mixer);
    const auto is_hidden = [](const PermutationClass& each) { return each.is_free() && each.size == 5; };
    CHECK(std::ranges::count_if(analysis.classes(), is_hidden) == 1);
}

TEST_CASE("a weight that the file works out of constants is one weight") {
    const OperatorCases operators;
    JLCM_SKIP_UNLESS(operators.is_there(), "no ONNX Runtime (JLCM_PYTHON)");
    const Graph graph = read(operators.path("weight_standardisation", ".onnx")).graph;
    REQUIRE(graph.parameters().size() == 1);  // two convolutions read it
    CHECK(graph.parameters()[0].linear);
    CHECK(graph.parameters()[0].shape == Shape{3, 27});
}

TEST_CASE("damaged operators on constants are refused or read, and nothing worse") {
    const OperatorCases operators;
    JLCM_SKIP_UNLESS(operators.is_there(), "no ONNX Runtime (JLCM_PYTHON)");
    int refused = 0;
    const test::Reader lower = [](std::span<const std::byte> bytes) {
        (void)lower_onnx(parse_onnx(bytes), 1009);
    };
    for (const auto& each : operators.cases()) {
        const auto name = each.at("name").get<std::string>();
        if (!each.at("batch").is_null()) continue;
        INFO(name);
        const MappedFile file(operators.path(name, ".onnx"));
        const test::Bytes bytes(file.bytes().begin(), file.bytes().end());
        refused += test::mutate(lower, bytes, bytes.size(), 12);
    }
    CHECK(refused > 1000);
}

TEST_CASE("values that are left in the file are those that are read at once") {
    const OperatorCases operators;
    JLCM_SKIP_UNLESS(operators.is_there(), "no ONNX Runtime (JLCM_PYTHON)");
    const MappedFile file(operators.path("fixed_large", ".onnx"));
    const OnnxModel plain = parse_onnx(file.bytes());
    const OnnxModel lazy = parse_onnx(file.bytes(), {.leaves_values = true});
    for (const auto& [name, tensor] : lazy.constants) {
        CHECK(tensor.is_float());
        CHECK(tensor.left.empty() == (name == "b"));
        CHECK(tensor.file_bytes == plain.constants.at(name).file_bytes);
        CHECK(tensor.loaded().floats() == plain.constants.at(name).floats());
    }
    CHECK_THROWS_AS(lazy.constants.at("w").floats(), Error);
    CHECK(to_json(lower_onnx(lazy, 1009).graph) == to_json(lower_onnx(plain, 1009).graph));
}

TEST_CASE("constants are read as what a rule asks for, or refused") {
    const std::map<std::string, OnnxTensor> constants{
        {"two", {{2}, std::vector<float>{1, 2}}},
        {"none", {{0}, std::vector<float>{}}},
        {"whole", {{}, std::vector<std::int64_t>{2}}},
        {"weight", {{5, 3, 3, 3}, std::vector<float>(135, 0.5F)}},
        {"image", {{1, 3, 4, 4}, std::vector<float>(48, 0.5F)}},
    };
    const auto refusal = [&](const std::string& type, std::vector<std::string> inputs) {
        OnnxModel model = model_of({{"first", "Relu", {"x"}, {"r"}, {}},
                                    {"node", type, std::move(inputs), {"k"}, {}},
                                    {"sum", "Add", {"r", "k"}, {"y"}, {}}});
        model.constants = constants;
        try {
            (void)lower_onnx(model, 1009);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::input);
            return std::string(error.what());
        }
        return std::string("no error");
    };
    using Catch::Contains;
    CHECK_THAT(refusal("Clip", {"r", "two"}), Contains("expected one number"));
    CHECK_THAT(refusal("Clip", {"r", "none"}), Contains("expected one number"));
    CHECK_THAT(refusal("Clip", {"", "whole"}), Contains("input 0 is missing"));
    CHECK_THAT(refusal("Sigmoid", {"whole"}), Contains("integers"));
    CHECK_THAT(refusal("Sigmoid", {}), Contains("input 0 is missing"));
    CHECK_THAT(refusal("Conv", {"image", "r"}), Contains("has to be known"));
    CHECK_THAT(refusal("Conv", {"image", "weight", "two"}), Contains("'two' has 2 elements"));
    CHECK_THAT(refusal("Concat", {"two", "whole"}), Contains("do not fit"));
    CHECK_THAT(refusal("Range", {"two", "two", "two"}), Contains("expected one"));
    CHECK_THAT(refusal("PRelu", {"image", "r"}), Contains("slopes"));
    CHECK_THAT(refusal("Gemm", {"two", "two"}), Contains("factors"));
    CHECK(refusal("Relu", {"image"}) == "no error");
    CHECK(refusal("Sum", {"image", "image", "image"}) == "no error");
}

TEST_CASE("an output that is a constant or the input is refused by name") {
    OnnxModel model = model_of({{"node", "Relu", {"k"}, {"y"}, {}}});
    model.constants["k"] = {{2}, std::vector<float>{1, 2}};
    CHECK_THROWS_WITH(lower_onnx(model, 1009), Catch::Contains("'y' is a constant"));
    OnnxModel input = model_of({{"node", "Identity", {"x"}, {"y"}, {}}});
    CHECK_THROWS_WITH(graph_from_json(to_json(lower_onnx(input, 1009).graph)), Catch::Contains("output"));
    OnnxModel second = model_of({{"node", "Dropout", {"x"}, {"a", "mask"}, {}}});
    second.outputs = {"mask"};
    CHECK_THROWS_WITH(lower_onnx(second, 1009), Catch::Contains("its output 1 ('mask') is not supported"));
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
            OnnxModel model = parse_onnx(file.bytes(), {.known_inputs = known});
            model.outputs.resize(1);
            lowered = lower_onnx(model, 0);
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

TEST_CASE("an opset newer than any is taken where no definition can have changed, else the node is named") {
    OnnxModel model = model_of({{"first", "Relu", {"x"}, {"r"}, {}}, {"second", "Clip", {"r"}, {"y"}, {}}});
    model.opset = 1000;
    CHECK(lower_onnx(model, 1009).graph.node_count() == 2);
    model.nodes.back().attributes["slope"] = 1.0F;
    CHECK_THROWS_WITH(lower_onnx(model, 1009), Catch::Contains("'second', a Clip (opset 1000)") &&
                                                   Catch::Contains("definition differs"));
    model.nodes.back().attributes.clear();
    model.nodes.back().inputs = {"r", "", "", "r"};
    CHECK_THROWS_WITH(lower_onnx(model, 1009), Catch::Contains("definition differs"));
}

TEST_CASE(
    "an If is the branch that a constant condition chooses; its nodes are lowered and refused as others") {
    const auto branch = [](const std::string& type) {
        OnnxGraph graph;
        graph.nodes.push_back({"inner " + type, type, {"r", "c"}, {"inner"}, {}});
        graph.constants["c"] = {{}, std::vector<float>{2}};
        graph.outputs = {"inner"};
        return std::make_shared<const OnnxGraph>(graph);
    };
    const auto model_with = [&](float condition, const std::string& otherwise) {
        OnnxModel model = model_of({{"first", "Relu", {"x"}, {"r"}, {}},
                                    {"choice",
                                     "If",
                                     {"condition"},
                                     {"y"},
                                     {{"then_branch", branch("Mul")}, {"else_branch", branch(otherwise)}}}});
        model.constants["condition"] = {{}, std::vector<std::int64_t>{static_cast<std::int64_t>(condition)}};
        return model;
    };
    const Tensor input = test::random_tensor({2, 3, 4, 4}, "if").to(DType::f32);
    const Tensor doubled = test::run(lower_onnx(model_with(1, "NonZero"), 1009), input);
    for (std::int64_t i = 0; i < input.size(); ++i)
        CHECK(doubled.data<float>()[i] == 2 * std::max(input.data<float>()[i], 0.0F));
    const Tensor added = test::run(lower_onnx(model_with(0, "Add"), 1009), input);
    CHECK(added.data<float>()[0] == std::max(input.data<float>()[0], 0.0F) + 2);
    CHECK_THROWS_WITH(lower_onnx(model_with(0, "NonZero"), 1009),
                      Catch::Contains("'inner NonZero', a NonZero"));
    OnnxModel unknown = model_with(1, "Add");
    unknown.nodes.back().inputs = {"r"};
    CHECK_THROWS_WITH(lower_onnx(unknown, 1009), Catch::Contains("depends on the model's input"));
}

TEST_CASE("several inputs of a fixed batch are read as the file has them") {
    OnnxModel model = model_of({{"node", "Add", {"a", "b"}, {"y"}, {}}});
    model.inputs = {{"a", {2, 3}}, {"b", {2, 3}}};
    const LoweredOnnx lowered = lower_onnx(model, 0);
    CHECK(lowered.graph.input_shape() == Shape{2, 6});
    const Tensor input = Tensor::from<float>({2, 6}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
    const Tensor sums = test::run(lowered, input);
    CHECK(std::ranges::equal(sums.values<float>(), std::vector<float>{5, 7, 9, 8, 10, 12}));
}

TEST_CASE("a recurrent layer whose steps lie where samples do is refused, saying what to do") {
    OnnxModel model = model_of({{"node", "LSTM", {"x", "w", "r"}, {"y"}, {}}});
    model.inputs = {{"x", {-1, 2, 3}}};
    model.constants = {{"w", {{1, 16, 3}, std::vector<float>(48, 0.5F)}},
                       {"r", {{1, 16, 4}, std::vector<float>(64, 0.5F)}}};
    CHECK_THROWS_WITH(lower_onnx(model, 1009),
                      Catch::Contains("'node', a LSTM (opset 13)") && Catch::Contains("batch_first=True"));
}

TEST_CASE("what is not supported is refused by name before any work") {
    const auto chain = [](const std::string& type, std::vector<std::string> inputs) {
        OnnxModel model;
        model.opset = 13;
        model.inputs = {{"x", {-1, 3, 4, 4}}};
        model.outputs = {"y"};
        model.nodes.push_back({"first", "Relu", {"x"}, {"r"}, {}});
        model.nodes.push_back({"odd one", type, std::move(inputs), {"y"}, {}});
        return model;
    };
    CHECK_THROWS_WITH(lower_onnx(chain("NonZero", {"r"}), 1009), Catch::Contains("odd one") &&
                                                                     Catch::Contains("NonZero") &&
                                                                     Catch::Contains("opset 13"));
    CHECK_THROWS_WITH(lower_onnx(chain("Gather", {"r", "r"}), 1009),
                      Catch::Contains("odd one") && Catch::Contains("picks among samples"));
    CHECK_THROWS_WITH(lower_onnx(chain("Conv", {"r"}), 1009), Catch::Contains("input 1 is missing"));
    // All of them at once, alike ones together.
    OnnxModel several = chain("NonZero", {"r"});
    several.nodes.push_back({"third", "Unique", {"y"}, {"z"}, {}});
    several.nodes.push_back({"fourth", "Unique", {"z"}, {"end"}, {}});
    several.outputs = {"end"};
    CHECK_THROWS_WITH(lower_onnx(several, 1009), Catch::Contains("'odd one', a NonZero") &&
                                                     Catch::Contains("'third', 'fourth', each a Unique"));
    OnnxModel open = chain("Relu", {"r"});
    open.inputs.front().shape = {-1, 3, -1, 4};
    CHECK_THROWS_WITH(lower_onnx(open, 1009), Catch::Contains("model.inputs: {x: {shape: [3, SIZE_2, 4]}}"));
    OnnxModel loop = chain("Loop", {"r"});
    CHECK_THROWS_WITH(lower_onnx(loop, 1009),
                      Catch::Contains("a Loop (opset 13)") && Catch::Contains("unrolled"));
    OnnxModel foreign = chain("FusedConv", {"r"});
    foreign.nodes.back().domain = "com.microsoft";
    CHECK_THROWS_WITH(lower_onnx(foreign, 1009), Catch::Contains("domain 'com.microsoft'"));
    for (const char* text : {"", "no model at all", "\x0a\xff\xff\xff\xff\x0f"})
        CHECK_THROWS_AS(parse_onnx(std::as_bytes(std::span(text, std::strlen(text)))), Error);
}
