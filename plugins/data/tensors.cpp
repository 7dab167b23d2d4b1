#include "core/base/file_list.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/data/dataset.hpp"
#include "core/formats/numpy.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

struct TensorsOptions {
    std::string path;
    std::string array;
    std::int64_t first = 0;
    std::int64_t samples = 0;
    void fields(Fields& v) {
        v("path", path,
          Doc{"An .npy, .npz or .safetensors file; looked for in the current directory and then where named datasets "
              "are. Numbers, integers and truth values become float32."},
          Required{});
        v("array", array,
          Doc{"The array to take, if the file has several: [samples, ...], as the network's input wants it. Empty: all, "
              "each for the input of its name."});
        v("first", first, Doc{"The sample to begin with."}, at_least(0));
        v("samples", samples, Doc{"How many samples; 0: all."}, at_least(0));
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
            const std::int64_t rows = arrays.front().second.rows();
            require(options_.first < rows, "it has {} samples, and {} is the first to take", rows,
                    options_.first);
            const std::int64_t end =
                options_.samples == 0 ? rows : std::min(rows, options_.first + options_.samples);
            ImageData data;
            data.name = path.stem().string();
            if (!options_.array.empty()) data.name += ":" + options_.array;
            if (options_.first > 0 || end < rows) data.name += fmt::format(" [{}, {})", options_.first, end);
            data.sha256 = sha256(file);
            data.source = options_.path;
            for (auto& [name, array] : arrays) {
                require(array.rows() == rows, "'{}' has {} samples, and '{}' has {}", name, array.rows(),
                        arrays.front().first, rows);
                array = array.slice(options_.first, end);
            }
            data.images = std::make_shared<const TensorSet>(std::move(arrays));
            return data;
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
