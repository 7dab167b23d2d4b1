#pragma once
// Tensors of an ONNX file whose bytes lie in other files (external_data).

#include "core/base/files.hpp"

#include <functional>
#include <map>
#include <string>

namespace jlcm {

class OnnxExternalData {
  public:
    /// Entries of a TensorProto's external_data: "location", "offset", "length".
    using Entries = std::map<std::string, std::string, std::less<>>;

    /// `folder`: that the files lie in, or below; empty: there are none. `on_file`: called with each file, once.
    explicit OnnxExternalData(std::filesystem::path folder,
                              std::function<void(const std::filesystem::path&)> on_file = {})
        : folder_(std::move(folder)), on_file_(std::move(on_file)) {}

    /// The bytes of the tensor `name`, valid as long as this lives. Input errors name the tensor and what is
    /// wrong: a file that is missing or outside of the folder, bytes beyond it.
    [[nodiscard]] std::span<const std::byte> bytes_of(const Entries& entries, const std::string& name);

  private:
    std::filesystem::path folder_;
    std::function<void(const std::filesystem::path&)> on_file_;
    std::map<std::string, MappedFile, std::less<>> files_;
};

}  // namespace jlcm
