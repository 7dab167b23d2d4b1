#pragma once
// Writing a file of tensors: a header that says where each lies, then their bytes, in the header's order.

#include "core/base/files.hpp"
#include "core/tensor/encoding.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Streams the tensors' bytes after a finished header. Made by begin_gguf and begin_safetensors. Without
/// commit() no file is left behind.
class TensorFileWriter {
  public:
    /// Each tensor starts at a multiple of `alignment` bytes; gaps are zero.
    TensorFileWriter(const std::filesystem::path& path, std::string_view header,
                     std::vector<TensorInfo> tensors, std::size_t alignment);

    /// All bytes of the next tensor.
    void write(std::span<const std::byte> bytes);
    /// The next tensor from float32 values, encoded as announced.
    void write_values(std::span<const float> values);
    /// Every tensor must have been written.
    void commit();

  private:
    void pad();
    AtomicFile file_;
    std::vector<TensorInfo> tensors_;
    std::size_t alignment_;
    std::size_t next_ = 0;
};

}  // namespace jlcm
