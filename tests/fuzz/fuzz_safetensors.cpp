#include "core/base/error.hpp"
#include "core/formats/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const auto file = jlcm::parse_safetensors(std::as_bytes(std::span(data, size)));
        for (const auto& tensor : file.tensors)
            if (tensor.encoding != jlcm::Encoding::u8 && tensor.encoding != jlcm::Encoding::i32)
                (void)jlcm::decode(tensor);
    } catch (const jlcm::Error&) {
        // What every damaged file must end in.
    }
    return 0;
}
