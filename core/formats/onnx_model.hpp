#pragma once
// An ONNX file as plain data: its nodes, attributes and constants, checked, without protobuf's types.

#include "core/formats/input_choice.hpp"
#include "core/graph/graph.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace jlcm {

/// A tensor whose values are known: numbers (of any floating-point type of the file) or integers (of any
/// type; booleans are 0 and 1).
struct OnnxTensor {
    Shape shape;
    std::variant<std::vector<float>, std::vector<std::int64_t>> values;
    std::uint64_t file_bytes = 0;  ///< that its values take in the file; 0 where it was made here
    int type = 0;                  ///< TensorProto.DataType in the file; 0 where it was made here
    /// float32 values that are left in the file (OnnxReading::leaves_values), in place of `values`.
    std::span<const std::byte> left{};

    /// The same with its values.
    [[nodiscard]] OnnxTensor loaded() const;
    [[nodiscard]] bool is_float() const { return values.index() == 0; }
    /// Input errors where they are of the other kind.
    [[nodiscard]] const std::vector<float>& floats() const;
    [[nodiscard]] const std::vector<std::int64_t>& integers() const;
};

struct OnnxGraph;

/// An attribute of a type that no rule reads: sparse tensors, types.
struct OnnxUnread {
    std::string what;
};

using OnnxAttribute =
    std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>,
                 std::vector<std::string>, OnnxTensor, std::shared_ptr<const OnnxGraph>, OnnxUnread>;

struct OnnxNode {
    std::string name;                 ///< never empty: of nodes without one, the type and their number
    std::string type;                 ///< "Conv"
    std::vector<std::string> inputs;  ///< names of values; empty where an optional one is left out
    std::vector<std::string> outputs;
    std::map<std::string, OnnxAttribute> attributes;
    std::string domain{};  ///< empty: ONNX's own

    /// Attributes, or `otherwise` where there is none; input errors where one is of another type.
    [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
    [[nodiscard]] double number(const std::string& key, double otherwise) const;
    [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const;
    [[nodiscard]] std::vector<std::int64_t> integers(const std::string& key,
                                                     const std::vector<std::int64_t>& otherwise = {}) const;
    [[nodiscard]] std::vector<float> numbers(const std::string& key,
                                             const std::vector<float>& otherwise = {}) const;
    [[nodiscard]] bool has(const std::string& key) const { return attributes.contains(key); }
    [[nodiscard]] bool has_input(std::size_t i) const { return i < inputs.size() && !inputs[i].empty(); }
};

/// The body of a node that decides what runs (If). It reads the values around it by name.
struct OnnxGraph {
    std::vector<OnnxNode> nodes;
    std::vector<std::string> outputs;
    std::map<std::string, OnnxTensor> constants;
    bool has_inputs = false;  ///< the body of a Loop or a Scan
};

/// An input that is no constant.
struct OnnxInput {
    std::string name;
    Shape shape;  ///< -1 where the size is left open
    ElementKind kind = ElementKind::number;
    std::size_t samples = 0;  ///< the dimension of samples; as large in all inputs, or open in all
    bool is_whole = false;    ///< there is none: all of it is one sample
};

struct OnnxModel {
    std::int64_t opset = 0;
    std::vector<OnnxInput> inputs;  ///< at least one
    /// Of a file for one sample: whether a dimension that an Unsqueeze puts in front of the samples' is another one.
    /// Else the samples stay first, which is what files mean that take the dimension away again.
    bool moves_samples = false;
    std::vector<std::string> outputs;
    std::map<std::string, std::string>
        output_shapes;            ///< as the file states them, "[n, 10]"; not all need be
    std::vector<OnnxNode> nodes;  ///< each after those whose values it reads
    std::map<std::string, OnnxTensor> constants;
    std::shared_ptr<const void> files{};  ///< of external data that values are left in

    /// How many samples the file is for; -1: any number.
    [[nodiscard]] std::int64_t samples() const {
        const OnnxInput& first = inputs.front();
        if (first.is_whole) return 1;
        return first.shape.empty() ? -1 : first.shape.at(first.samples);
    }
    void set_samples(std::int64_t count) {
        for (OnnxInput& input : inputs)
            if (!input.shape.empty()) input.shape.at(input.samples) = count;
    }
    /// Of a file for several samples: makes all of them together one.
    void join_samples() {
        for (OnnxInput& input : inputs) {
            input.is_whole = true;
            input.samples = 0;
        }
    }
};

/// Where the parts of a model are that its file leaves to others.
struct OnnxReading {
    std::map<std::string, OnnxTensor> known_inputs{};  ///< inputs that are constants here
    std::vector<InputChoice> inputs{};                 ///< sizes and values of inputs
    std::filesystem::path folder{};  ///< that external data lie in, or below; empty: nowhere
    /// Called with each file of external data, once, in their order.
    std::function<void(const std::filesystem::path&)> on_file{};
    /// Whether the values of large constants stay in the file until they are asked for: its bytes then outlive the model.
    bool leaves_values = false;
};

/// Parses the bytes of an ONNX file. Input errors name what is wrong or not supported: opsets, element types,
/// external data outside of the folder, sizes that do not fit their data.
[[nodiscard]] OnnxModel parse_onnx(std::span<const std::byte> bytes, const OnnxReading& reading = {});
/// The names of a model's inputs, constants among them included, in the file's order.
[[nodiscard]] std::vector<std::string> onnx_inputs(std::span<const std::byte> bytes);
/// A tensor by itself (TensorProto), as ONNX's own tests keep them.
[[nodiscard]] OnnxTensor parse_onnx_tensor(std::span<const std::byte> bytes);

}  // namespace jlcm
