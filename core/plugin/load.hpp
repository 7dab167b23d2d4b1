#pragma once
// The way from a spec's file to a typed spec:
//
//     const auto spec = load_spec<RunSpec>("configs/llama_2bit.yaml", {"compress.bits=3"});
//     spec.value.compress.bits;               // typed
//     to_yaml(spec.config);                   // canonical form: what the run's identity is the hash of
//     to_yaml_with_origins(spec.config);      // what --print-config shows
//
// How a spec is declared: core/spec/fields.hpp. How a plugin is: core/plugin/registry.hpp.

#include "core/plugin/library.hpp"
#include "core/spec/resolve.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

/// Reads `file` with its includes, applies `sets` ("a.b=value"), loads the plugin libraries that the spec
/// names, and decodes it. Throws one input error with a line "file:line:column: what, what was expected" for
/// every problem.
template <OptionsStruct T>
[[nodiscard]] Resolved<T> load_spec(const std::filesystem::path& file,
                                    const std::vector<std::string>& sets = {}) {
    Problems problems;
    Config given = read_config(file, sets, problems);
    load_plugins(given, problems);
    Resolved<T> resolved = resolve<T>(given, problems);
    problems.throw_if_any();
    return resolved;
}

}  // namespace jlcm
