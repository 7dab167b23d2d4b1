#pragma once
// Union-find over blocks of features: the algebra behind the permutation analysis.

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// Blocks under ties. A block starts whole; if it meets another structure, it is split: into blocks within
/// blocks (a product) or into parts (a sum).
class FeatureBlocks {
  public:
    using Blocks = std::vector<int>;   ///< nested, outermost first
    using Axis = std::vector<Blocks>;  ///< parts

    /// A new class of `size` blocks.
    [[nodiscard]] int add(std::int64_t size);
    /// Registers an axis; one that is not registered does not restrict where blocks may be cut.
    void watch(const Axis& axis) { watched_.push_back(axis); }

    /// Ties feature i of one to feature i of the other. Structures that have no common refinement are fixed
    /// for `reason`, by `who`.
    void tie(const Axis& a, const Axis& b, const std::string& who);
    void fix(const Axis& axis, const std::string& reason, const std::string& who);

    /// In terms of whole blocks of more than one feature, by their representatives.
    [[nodiscard]] Axis expand(const Axis& axis) const;
    [[nodiscard]] std::int64_t size(const Axis& axis) const;
    [[nodiscard]] std::int64_t size_of(int block) const { return at(block).size; }
    [[nodiscard]] const std::string& reason(int block) const { return at(block).reason; }
    [[nodiscard]] const std::string& fixed_by(int block) const { return at(block).fixed_by; }

  private:
    enum class Split : std::uint8_t { none, product, sum };
    struct Node {
        std::int64_t size = 1;
        int parent = -1;
        Split split = Split::none;
        int first = -1;   ///< outer, or the former part
        int second = -1;  ///< inner, or the latter part
        std::string reason;
        std::string fixed_by;
    };

    [[nodiscard]] int find(int block) const;
    [[nodiscard]] const Node& at(int block) const { return nodes_[static_cast<std::size_t>(find(block))]; }
    [[nodiscard]] std::int64_t product(const Blocks& blocks) const;
    void expand(const Blocks& blocks, Axis& parts) const;
    [[nodiscard]] bool is_sum(int block) const;
    /// Whether a block inside others has parts of its own: their features would lie scattered.
    [[nodiscard]] bool is_scattered(const Axis& axis) const;
    void unite(int a, int b);
    void split(int block, Split how, std::int64_t first);
    /// Ties as far as the present splits go; false if it had to split one and must be called again.
    [[nodiscard]] bool tie_expanded(const Axis& a, const Axis& b, const std::string& who);
    [[nodiscard]] bool tie_parts(Blocks a, Blocks b, const std::string& who);
    /// Cuts the part behind its first `size` features; false if its blocks do not allow it.
    [[nodiscard]] bool cut(const Blocks& part, std::int64_t size);
    void refuse(const Axis& a, const Axis& b, const std::string& who);

    std::vector<Node> nodes_;
    std::vector<Axis> watched_;
};

}  // namespace jlcm
