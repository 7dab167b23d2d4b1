#pragma once
// Changing constants of an ONNX file and leaving all else as it is, byte for byte.

#include "core/tensor/tensor.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// TensorProto.DataType, as far as it is written.
enum class OnnxType : std::uint8_t {
    float32 = 1,
    uint8 = 2,
    uint16 = 4,
    int32 = 6,
    int64 = 7,
    float16 = 10,
    float64 = 11,
    bfloat16 = 16
};

/// A node that is written (a NodeProto).
struct OnnxNewNode {
    std::string type;
    std::vector<std::string> inputs;
    std::string output;
    std::map<std::string, std::int64_t> integers{};  ///< attributes
    std::map<std::string, std::string> texts{};
    std::map<std::string, std::vector<std::int64_t>> lists{};
    std::string attributes{};  ///< further ones as they stand in another node

    [[nodiscard]] std::string message() const;
};
/// A Constant node that makes `output`. `bytes`: the elements, little-endian.
[[nodiscard]] std::string onnx_constant(const std::string& output, OnnxType type, const Shape& shape,
                                        std::string_view bytes);
/// Numbers as elements of a floating-point type; an input error where one is beyond its range.
[[nodiscard]] std::string onnx_elements(std::span<const float> values, OnnxType type,
                                        const std::string& name);

/// Values are named as in the file. Input errors name a value that is not there, or that no constant makes.
class OnnxEdit {
  public:
    /// A node of the file.
    struct NodeView {
        std::string type;
        std::vector<std::string> inputs;
        std::vector<std::string> outputs;
        std::string attributes;  ///< fields of the message
    };

    /// `model`: an ONNX file's bytes, which have to live as long as this. `folder`: of its external data, which
    /// are written into the one file.
    OnnxEdit(std::span<const std::byte> model, std::filesystem::path folder);

    /// Whether the file has such a value.
    [[nodiscard]] bool has(const std::string& value) const;
    /// Whether `value` is `of`, or what Identity nodes pass on of it.
    [[nodiscard]] bool is_copy(const std::string& value, const std::string& of) const;
    /// The element type of a constant.
    [[nodiscard]] OnnxType type_of(const std::string& value) const;
    /// Another value in place of a constant, which keeps its name, shape and element type.
    void replace(const std::string& value, const Shape& shape, std::span<const float> values);
    /// Nodes (messages) that make `value` in place of a constant. They stand before all others.
    void replace(const std::string& value, std::vector<std::string> nodes);
    /// Nodes that make values the file does not have.
    void add(std::vector<std::string> nodes);
    /// The node that makes `output` (its first) reads these values from now on.
    void set_inputs(const std::string& output, std::vector<std::string> inputs);
    /// The node that makes `output`.
    [[nodiscard]] NodeView node(const std::string& output) const;
    /// Nodes of the graph that read a value. An input error where something else does: an output, a graph inside.
    [[nodiscard]] std::vector<NodeView> readers_of(const std::string& value) const;
    /// Nodes (messages) in the place of the one that makes `output`: they read `inputs` and make `made`.
    void replace_node(const std::string& output, std::vector<std::string> inputs, const std::string& made,
                      std::vector<std::string> nodes);
    /// The same node becomes one that passes its first input on.
    void make_identity(const std::string& output);
    /// It reads `to` wherever it read `from`, by its name or through Identity nodes.
    void rewire(const std::string& output, const std::string& from, const std::string& to);

    /// The file as it is now, without constants that nothing reads any more. An input error where it would not
    /// fit into the 2 GB of the format.
    [[nodiscard]] std::string bytes() const;

  private:
    struct Node {
        std::string_view message;
        std::string type;
        std::vector<std::string> inputs;
        std::vector<std::string> outputs;
        std::set<std::string> inner_reads;  ///< of graphs inside
        std::vector<std::string> instead;   ///< messages in its place
        bool is_changed = false;
        bool is_gone = false;
    };
    [[nodiscard]] static NodeView view(const Node& node);
    struct Constant {
        std::string_view message;
        OnnxType type{};
        std::string replaced;  ///< the message in its place; empty: none
        bool is_gone = false;
    };
    [[nodiscard]] std::vector<Node>::const_iterator place_of(const std::string& output) const;
    [[nodiscard]] Node& node_of(const std::string& output);
    void drop(const std::string& value);
    [[nodiscard]] std::map<std::string, int> readers() const;
    void drop_unread(const std::map<std::string, int>& before);
    [[nodiscard]] std::string rewritten(const Node& node) const;
    [[nodiscard]] std::string within_one_file(const std::string& name, std::string_view message) const;

    std::string_view model_;
    std::filesystem::path folder_;
    std::vector<Node> nodes_;
    std::map<std::string, Constant> constants_;
    std::set<std::string> outputs_;  ///< of the graph
    std::map<std::string, int> original_readers_;
    std::vector<std::string> first_nodes_;
    std::set<std::string> no_inputs_;  ///< constants listed among the graph's inputs that nodes make now
};

}  // namespace jlcm
