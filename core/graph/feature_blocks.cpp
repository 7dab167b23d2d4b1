#include "core/graph/feature_blocks.hpp"

#include "core/base/error.hpp"

#include <algorithm>

namespace jlcm {

int FeatureBlocks::add(std::int64_t size) {
    ensure(size >= 1, "{} blocks", size);
    Node node;
    node.size = size;
    nodes_.push_back(std::move(node));
    return static_cast<int>(nodes_.size()) - 1;
}

int FeatureBlocks::find(int block) const {
    while (nodes_[static_cast<std::size_t>(block)].parent >= 0)
        block = nodes_[static_cast<std::size_t>(block)].parent;
    return block;
}

std::int64_t FeatureBlocks::product(const Blocks& blocks) const {
    std::int64_t size = 1;
    for (const int block : blocks) size *= at(block).size;
    return size;
}

std::int64_t FeatureBlocks::size(const Axis& axis) const {
    std::int64_t size = 0;
    for (const Blocks& part : axis) size += product(part);
    return size;
}

void FeatureBlocks::expand(const Blocks& blocks, Axis& parts) const {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const Node& node = at(blocks[i]);
        if (node.split == Split::none) continue;
        const auto with = [&](const Blocks& children) {
            Blocks result(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(i));
            result.insert(result.end(), children.begin(), children.end());
            result.insert(result.end(), blocks.begin() + static_cast<std::ptrdiff_t>(i) + 1, blocks.end());
            return result;
        };
        if (node.split == Split::product) {
            expand(with({node.first, node.second}), parts);
        } else {
            expand(with({node.first}), parts);
            expand(with({node.second}), parts);
        }
        return;
    }
    Blocks whole;
    for (const int block : blocks)
        if (at(block).size > 1) whole.push_back(find(block));
    parts.push_back(std::move(whole));
}

FeatureBlocks::Axis FeatureBlocks::expand(const Axis& axis) const {
    Axis parts;
    for (const Blocks& part : axis) expand(part, parts);
    return parts;
}

bool FeatureBlocks::is_sum(int block) const {
    const Node& node = at(block);
    if (node.split == Split::none) return false;
    return node.split == Split::sum || is_sum(node.first) || is_sum(node.second);
}

bool FeatureBlocks::is_scattered(const Axis& axis) const {
    for (const Blocks& part : axis) {
        std::int64_t outer = 1;
        for (const int block : part) {
            if (outer > 1 && is_sum(block)) return true;
            outer *= at(block).size;
        }
    }
    return false;
}

void FeatureBlocks::unite(int a, int b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    Node& kept = nodes_[static_cast<std::size_t>(std::min(a, b))];
    Node& joined = nodes_[static_cast<std::size_t>(std::max(a, b))];
    if (kept.reason.empty()) {
        kept.reason = joined.reason;
        kept.fixed_by = joined.fixed_by;
    }
    joined.parent = std::min(a, b);
}

void FeatureBlocks::split(int block, Split how, std::int64_t first) {
    const auto id = static_cast<std::size_t>(find(block));
    const std::int64_t size = nodes_[id].size;
    const int one = add(first);
    const int two = add(how == Split::product ? size / first : size - first);
    Node& node = nodes_[id];
    node.split = how;
    node.first = one;
    node.second = two;
    for (const int child : {one, two}) {
        nodes_[static_cast<std::size_t>(child)].reason = node.reason;
        nodes_[static_cast<std::size_t>(child)].fixed_by = node.fixed_by;
    }
}

void FeatureBlocks::fix(const Axis& axis, const std::string& reason, const std::string& who) {
    for (const Blocks& part : expand(axis)) {
        for (const int block : part) {
            Node& node = nodes_[static_cast<std::size_t>(block)];
            if (!node.reason.empty()) continue;
            node.reason = reason;
            node.fixed_by = who;
        }
    }
}

void FeatureBlocks::refuse(const Axis& a, const Axis& b, const std::string& who) {
    const std::string reason = "block structures that do not fit each other meet";
    fix(a, reason, who);
    fix(b, reason, who);
}

bool FeatureBlocks::cut(const Blocks& part, std::int64_t size) {
    ensure(!part.empty(), "a part of one feature cannot be cut");
    const std::int64_t inner = product(part) / at(part.front()).size;
    if (size % inner != 0) return false;
    // Parts inside of other blocks would lie scattered.
    for (const Axis& axis : watched_)
        for (const Blocks& other : expand(axis))
            if (std::find(other.begin(), other.end(), part.front()) > other.begin() &&
                std::find(other.begin(), other.end(), part.front()) != other.end())
                return false;
    split(part.front(), Split::sum, size / inner);
    return true;
}

bool FeatureBlocks::tie_parts(Blocks a, Blocks b, const std::string& who) {
    while (!a.empty() && !b.empty()) {
        const int inner_a = a.back();
        const int inner_b = b.back();
        const std::int64_t size_a = at(inner_a).size;
        const std::int64_t size_b = at(inner_b).size;
        if (size_a == size_b) {
            unite(inner_a, inner_b);
            a.pop_back();
            b.pop_back();
        } else if (std::max(size_a, size_b) % std::min(size_a, size_b) == 0) {
            const bool a_is_larger = size_a > size_b;
            split(a_is_larger ? inner_a : inner_b, Split::product,
                  std::max(size_a, size_b) / std::min(size_a, size_b));
            return false;
        } else {
            refuse({a}, {b}, who);
            return true;
        }
    }
    return true;
}

bool FeatureBlocks::tie_expanded(const Axis& a, const Axis& b, const std::string& who) {
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const std::int64_t size_a = product(a[i]);
        const std::int64_t size_b = product(b[i]);
        if (size_a == size_b) {
            if (!tie_parts(a[i], b[i], who)) return false;
            continue;
        }
        if (cut(size_a > size_b ? a[i] : b[i], std::min(size_a, size_b))) return false;
        refuse(a, b, who);
        return true;
    }
    return true;
}

void FeatureBlocks::tie(const Axis& a, const Axis& b, const std::string& who) {
    ensure(size(a) == size(b), "{}: {} features cannot be {} others", who, size(a), size(b));
    if (is_scattered(a) || is_scattered(b)) return refuse(a, b, who);
    while (!tie_expanded(expand(a), expand(b), who)) {
    }
}

}  // namespace jlcm
