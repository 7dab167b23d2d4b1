"""The code examples in the comments that open public headers compile as they stand."""

import os
import subprocess
from pathlib import Path

SOURCE = Path(os.environ["JLCM_SOURCE"])
# The interfaces that each header's examples use.
HEADERS = {
    "core/spec/fields.hpp": [],
    "core/plugin/registry.hpp": [],
    "core/plugin/choice.hpp": ["estimator.hpp", "evaluation.hpp"],
}
INDENT = "//     "


def examples(header):
    """The indented blocks of the comment that opens a header."""
    blocks = [[]]
    for line in (SOURCE / header).read_text().splitlines()[1:]:
        if not line.startswith("//"):
            break
        if line.startswith(INDENT):
            blocks[-1].append(line.removeprefix(INDENT))
        elif line == "//" and blocks[-1]:
            blocks[-1].append("")
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


for header, uses in HEADERS.items():
    found = examples(header)
    assert found, f"{header}: the comment that opens it has no example"
    includes = [header] + [str(next(SOURCE.glob(f"core/*/{name}")).relative_to(SOURCE)) for name in uses]
    source = Path(header.replace("/", "_")).with_suffix(".cpp")
    source.write_text("\n".join(
        [f'#include "{name}"' for name in includes] + ["namespace jlcm {", *found, "}  // namespace jlcm", ""]))
    subprocess.run(["c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused", f"-I{SOURCE}", source],
                   check=True)
    print(f"{header}: {len(found)} examples compile")
