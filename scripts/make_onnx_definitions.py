#!/usr/bin/env python3
"""Writes core/formats/onnx_definitions.cpp from the definitions that the Python package onnx has: for each operator with a lowering
or folding rule its attributes, and how many inputs and outputs it has at most.

make_onnx_definitions.py  (with a Python that has onnx; then set newest_opset in onnx_definitions.hpp to the number that is told)
"""
import re
from pathlib import Path

import onnx

source = Path(__file__).resolve().parent.parent / "core/formats"
types = {"If"}
for file in source.glob("onnx_*.cpp"):
    text = file.read_text()
    types |= set(re.findall(r'rules\["(\w+)"\]', text))
    if file.name == "onnx_folding.cpp":
        types |= set(re.findall(r'^        \{"(\w+)",', text, re.M))
newest = onnx.defs.onnx_opset_version()
lines = []
for name in sorted(types):
    try:
        schema = onnx.defs.get_schema(name, newest, "")
    except onnx.defs.SchemaError:
        continue
    lines.append(f'    {{"{name}", {min(schema.max_input, 1 << 16)}, {min(schema.max_output, 1 << 16)}, '
                 f'"{"".join(each + " " for each in sorted(schema.attributes))}"}},')
(source / "onnx_definitions.cpp").write_text('''// Written by scripts/make_onnx_definitions.py.
#include "core/formats/onnx_definitions.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

struct Definition {
    std::string_view type;
    std::size_t inputs;           ///< at most
    std::size_t outputs;          ///< at most
    std::string_view attributes;  ///< names, a space behind each
};
constexpr std::array definitions = std::to_array<Definition>({
''' + "\n".join(lines) + '''
});

}  // namespace

void require_known_definition(const OnnxNode& node, std::int64_t opset) {
    if (opset <= newest_opset) return;
    const auto found = std::ranges::find(definitions, node.type, &Definition::type);
    require(found != definitions.end() && node.inputs.size() <= found->inputs &&
                node.outputs.size() <= found->outputs &&
                std::ranges::all_of(node.attributes,
                                    [&](const auto& each) {
                                        return found->attributes.find(each.first + " ") != std::string_view::npos;
                                    }),
            "its definition differs from that of opset {}, the newest that is known here; export at that one",
            newest_opset);
}

}  // namespace jlcm
''')
print("newest opset:", newest, "operators:", len(lines))
