#pragma once
// What a model remembers of tokens that it has read, so that it reads on where it stopped.

#include "core/backend/key_value_cache.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

namespace jlcm {

/// The state of sequences that are read together, all as far. A forward over all nodes of a graph reads the
/// tokens behind position(); advance() and keep() then say which count as read.
class SequenceState {
  public:
    explicit SequenceState(CacheType type) : type_(type) {}

    /// Tokens that have been read: the position of the next one.
    [[nodiscard]] std::int64_t position() const { return position_; }
    void advance(std::int64_t tokens) { position_ += tokens; }
    /// Forgets all but the first `count` tokens.
    void keep(std::int64_t count) {
        position_ = count;
        for (auto& [node, cache] : caches_) cache.keep(std::min(count, cache.tokens()));
    }
    /// The cache of an attention, by its node's number.
    [[nodiscard]] KeyValueCache& cache(int node) { return caches_.try_emplace(node, type_).first->second; }

  private:
    CacheType type_;
    std::int64_t position_ = 0;
    std::map<int, KeyValueCache> caches_;
};

}  // namespace jlcm
