#pragma once
// From a tree to a typed spec and back to a tree that holds every value.

#include "core/spec/config.hpp"
#include "core/spec/fields.hpp"
#include "core/spec/problems.hpp"

namespace jlcm {

/// A decoded spec. `config` holds every value, defaults included, in declared order, each with its origin:
/// to_yaml(config) is the canonical form, the same for every way to write the same spec, and can be read
/// again.
template <OptionsStruct T>
struct Resolved {
    T value;
    Config config;
};

/// Gives the nodes of `resolved` the origins of their counterparts in `given`; the rest is "default".
void take_origins(Config& resolved, const Config& given);

/// Decodes `given` over T's defaults. Problems are added; where there are any, the result is good for
/// nothing.
template <OptionsStruct T>
[[nodiscard]] Resolved<T> resolve(const Config& given, Problems& problems) {
    Resolved<T> resolved{};
    const std::size_t before = problems.count();
    decode_options(resolved.value, given, problems);
    if (problems.count() > before) return resolved;
    resolved.config = encode_options(resolved.value);
    take_origins(resolved.config, given);
    return resolved;
}

}  // namespace jlcm
