#include "core/base/file_list.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/data/dataset.hpp"
#include "core/data/sample_range.hpp"
#include "core/formats/numpy.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

struct TensorsOptions {
    std::string path;
    std::string array;
    SampleRange range;
    void fields(Fields& v) {
        v("path", path,
          Doc{"An .npy, .npz or .safetensors file; looked for in the current directory and then where named datasets "
              "are. Numbers, integers and truth values become float32."},
          Required{});
        v("array", array,
          Doc{"The array to take, if the file has several: [samples, ...], as the network's input wants it. Empty: all, "
              "each for the input of its name."});
        range.fields(v);
    }
};

TensorSet::Arrays read_arrays(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    const std::string ending = path.extension().string();
    if (ending == ".npy") return {{"", parse_npy(bytes)}};
    if (ending == ".npz") return parse_npz(bytes);
    require(ending == ".safetensors", "a file *{}; .npy, .npz and .safetensors are read", ending);
    TensorSet::Arrays arrays;
    for (const StoredTensor& tensor : parse_safetensors(bytes).tensors) {
        if (tensor.encoding == Encoding::i32) {
            Tensor integers = Tensor::empty(tensor.shape, DType::i32);
            std::ranges::copy(tensor.bytes, integers.bytes().begin());
            arrays.emplace_back(tensor.name, integers.to(DType::f32));
        } else if (tensor.encoding == Encoding::u8) {
            Tensor numbers = Tensor::empty(tensor.shape);
            std::ranges::transform(tensor.bytes, numbers.values<float>().begin(), [](std::byte value) {
                return static_cast<float>(std::to_integer<int>(value));
            });
            arrays.emplace_back(tensor.name, std::move(numbers));
        } else {
            arrays.emplace_back(tensor.name, decode(tensor));
        }
    }
    return arrays;
}

class Tensors final : public Dataset {
  public:
    using Options = TensorsOptions;
    explicit Tensors(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        std::error_code ignored;
        return std::filesystem::is_regular_file(place_data(options_.path, directories), ignored);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const std::filesystem::path path = place_data(options_.path, directories);
        const MappedFile file(path);
        try {
            TensorSet::Arrays arrays = chosen(read_arrays(path, file.bytes()));
            for (const auto& [name, array] : arrays)
                require(!array.shape().empty() && array.size() > 0, "an array of shape {} holds no samples",
                        to_string(array.shape()));
            ImageData data;
            data.name = path.stem().string();
            if (!options_.array.empty()) data.name += ":" + options_.array;
            data.sha256 = sha256(file);
            data.source = options_.path;
            return select_samples(std::move(data), std::move(arrays), options_.range);
        } catch (const Error& error) {
            throw error.within(path.string());
        }
    }

  private:
    [[nodiscard]] TensorSet::Arrays chosen(TensorSet::Arrays arrays) const {
        require(!arrays.empty(), "it has no arrays");
        if (options_.array.empty()) return arrays;
        std::vector<std::string> names;
        for (auto& [name, array] : arrays) {
            if (name == options_.array) return {{"", std::move(array)}};
            names.push_back(fmt::format("'{}' {}", name, to_string(array.shape())));
        }
        fail("it has {} arrays ({}), and no '{}': set array", arrays.size(), fmt::join(names, ", "),
             options_.array);
    }

    TensorsOptions options_;
};

const Registrar<Dataset, Tensors> registrar{
    "tensors",
    "Samples as a network reads them, from an .npy, .npz or .safetensors file: for networks that read no "
    "pictures and no text."};

}  // namespace
}  // namespace jlcm
