#pragma once
// ONNX Runtime as the reference, where the interpreter of JLCM_PYTHON has it.

#include "core/base/files.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include <unistd.h>

namespace jlcm::test {

/// Whether the interpreter that JLCM_PYTHON names has ONNX Runtime.
inline bool has_onnx_runtime() {
    const char* python = std::getenv("JLCM_PYTHON");
    if (python == nullptr) return false;
    static const bool is_there =
        std::system((std::string(python) + " -c 'import onnx, onnxruntime' 2>/dev/null").c_str()) ==
        0;  // NOLINT
    return is_there;
}

/// The first output of the model for `input` (float32), as a flat list; nothing where there is no ONNX
/// Runtime.
inline std::optional<std::vector<float>> onnx_runtime(const std::filesystem::path& model,
                                                      const Tensor& input) {
    if (!has_onnx_runtime()) return std::nullopt;
    const char* python = std::getenv("JLCM_PYTHON");
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / fmt::format("jlcm_onnx_{}", ::getpid());
    std::filesystem::create_directories(folder);
    const auto bytes = input.bytes();
    write_file(folder / "input", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});  // NOLINT
    std::string command =
        fmt::format("{} {}/tests/golden/run_onnx.py {} {} {}", python, JLCM_SOURCE_DIR, model.string(),
                    (folder / "input").string(), (folder / "output").string());
    for (const std::int64_t size : input.shape()) command += fmt::format(" {}", size);
    ensure(std::system(command.c_str()) == 0, "{} failed", command);  // NOLINT: a test's own command
    const std::string output = read_file(folder / "output");
    std::vector<float> values(output.size() / sizeof(float));
    std::memcpy(values.data(), output.data(), output.size());
    std::filesystem::remove_all(folder);
    return values;
}

}  // namespace jlcm::test
