#include "core/formats/tensor_file.hpp"

#include "core/base/error.hpp"

#include <utility>

namespace jlcm {

TensorFileWriter::TensorFileWriter(const std::filesystem::path& path, std::string_view header,
                                   std::vector<TensorInfo> tensors, std::size_t alignment)
    : file_(path), tensors_(std::move(tensors)), alignment_(alignment) {
    file_.write(header);
    pad();
}

void TensorFileWriter::write(std::span<const std::byte> bytes) {
    ensure(next_ < tensors_.size(), "more tensors written than announced");
    const TensorInfo& tensor = tensors_[next_++];
    ensure(bytes.size() == encoded_bytes(tensor.encoding, tensor.shape),
           "tensor '{}' of shape {} in {}: {} bytes given", tensor.name, to_string(tensor.shape),
           name_of(tensor.encoding), bytes.size());
    file_.write(bytes);
    pad();
}

void TensorFileWriter::write_values(std::span<const float> values) {
    ensure(next_ < tensors_.size(), "more tensors written than announced");
    write(encode(values, tensors_[next_].encoding));
}

void TensorFileWriter::commit() {
    ensure(next_ == tensors_.size(), "{} of {} tensors written", next_, tensors_.size());
    file_.commit();
}

void TensorFileWriter::pad() {
    const std::size_t beyond = file_.position() % alignment_;
    if (beyond != 0) file_.write(std::string(alignment_ - beyond, '\0'));
}

}  // namespace jlcm
