#include "core/codebook/artifact.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/half.hpp"
#include "core/codebook/matrix_parts.hpp"
#include "core/codebook/packing.hpp"
#include "core/formats/json.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr std::string_view format_name = "jlcm";
constexpr std::string_view format_version = "1";
constexpr std::int64_t alignment = 64;
constexpr std::int64_t short_row_limit = 65536;
constexpr const char* tokenizer_tensor = "tokenizer";
constexpr std::string_view file_prefix = "file:";
constexpr const char* tokenizer_file_key = "tokenizer_file";

std::int64_t padded(std::int64_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
}

bool is_plain(Encoding encoding) {
    return encoding == Encoding::f32 || encoding == Encoding::f16 || encoding == Encoding::bf16;
}

/// Bytes that a tensor takes that is not compressed.
std::int64_t stored_bytes(const StoredTensor& tensor) {
    const auto bytes = static_cast<std::int64_t>(encoded_bytes(tensor.encoding, tensor.shape));
    return is_plain(tensor.encoding) ? bytes : padded(bytes);
}

std::vector<std::byte> bytes_of(const std::vector<std::uint8_t>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

template <class T>
std::vector<std::byte> raw(std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> halves(const std::string& name, std::span<const float> values) {
    std::vector<std::uint16_t> bits(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        bits[i] = f16_from_float(values[i]);
        ensure(float_from_f16(bits[i]) == values[i], "{}: {} is no float16; call round_to_storage first",
               name, values[i]);
    }
    return raw<std::uint16_t>(bits);
}

std::vector<std::byte> packed_mapping(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    const auto lines = PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits);
    const std::int64_t stage_bytes = lines.bytes(layout.bits);
    const std::int64_t stage_codes = layout.rows * layout.codes_per_row();
    std::vector<std::uint8_t> packed(static_cast<std::size_t>(padded(stage_bytes * layout.residual)), 0);
    for (int stage = 0; stage < layout.residual; ++stage)
        pack_codes(matrix.mapping.values<std::uint8_t>().subspan(
                       static_cast<std::size_t>(stage * stage_codes), static_cast<std::size_t>(stage_codes)),
                   lines, layout.bits,
                   std::span(packed).subspan(static_cast<std::size_t>(stage * stage_bytes),
                                             static_cast<std::size_t>(stage_bytes)));
    return bytes_of(packed);
}

/// A tensor of the file and how to make its bytes when its turn comes.
struct Part {
    TensorInfo info;
    int order;  ///< mappings first, then by falling width, so that everything is aligned
    std::function<std::vector<std::byte>()> bytes;
};

Part make_part(std::string name, Shape shape, Encoding encoding, int order,
               std::function<std::vector<std::byte>()> bytes) {
    return {TensorInfo{std::move(name), std::move(shape), encoding}, order, std::move(bytes)};
}

enum Order { mapping_order, padded_order, four_bytes_order, two_bytes_order, one_byte_order };

std::vector<std::byte> two_byte_row_order(const Tensor& order) {
    std::vector<std::uint8_t> table;
    for (const auto row : order.values<std::int32_t>()) {
        table.push_back(static_cast<std::uint8_t>(row));
        table.push_back(static_cast<std::uint8_t>(row >> 8));
    }
    return bytes_of(table);
}

/// Codes packed, values in float16, row orders of two bytes where that is enough. The bytes are made of
/// `matrix`, null where nothing is written.
void add_matrix(std::vector<Part>& parts, const std::string& name, const MatrixForm& form,
                const CompressedMatrix* matrix) {
    const Layout& layout = form.layout;
    for (const auto& [suffix, shape, type] : parts_of(form)) {
        const std::string full = name + std::string(suffix);
        const auto tensor = [matrix, what = suffix] { return part_of(*matrix, what); };
        if (suffix == part::mapping) {
            const auto lines = PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits);
            parts.push_back(make_part(full, {padded(lines.bytes(layout.bits) * layout.residual)},
                                      Encoding::u8, mapping_order,
                                      [matrix] { return packed_mapping(*matrix); }));
        } else if (suffix == part::row_order && layout.rows <= short_row_limit) {
            parts.push_back(make_part(full, {layout.rows, 2}, Encoding::u8, one_byte_order,
                                      [tensor] { return two_byte_row_order(tensor()); }));
        } else if (type == DType::f32) {
            parts.push_back(make_part(full, shape, Encoding::f16, two_bytes_order, [tensor, full] {
                const Tensor values = tensor();
                return halves(full, values.values<float>());
            }));
        } else {
            parts.push_back(make_part(full, shape, Encoding::i32, four_bytes_order, [tensor] {
                const Tensor table = tensor();
                return raw(table.values<std::int32_t>());
            }));
        }
    }
}

void add_stored(std::vector<Part>& parts, const std::string& name, const StoredTensor& tensor) {
    const auto bytes = tensor.bytes;
    if (is_plain(tensor.encoding)) {
        parts.push_back(make_part(name, tensor.shape, tensor.encoding,
                                  tensor.encoding == Encoding::f32 ? four_bytes_order : two_bytes_order,
                                  [bytes] { return std::vector<std::byte>(bytes.begin(), bytes.end()); }));
        return;
    }
    const std::int64_t size = stored_bytes(tensor);
    parts.push_back(make_part(name, {size}, Encoding::u8, padded_order, [bytes, size] {
        std::vector<std::byte> copy(bytes.begin(), bytes.end());
        copy.resize(static_cast<std::size_t>(size));
        return copy;
    }));
}

/// What a file is made of, in its order.
struct Contents {
    std::vector<Part> parts;
    std::map<std::string, std::string> metadata;

    [[nodiscard]] std::vector<TensorInfo> tensors() const {
        std::vector<TensorInfo> infos;
        for (const Part& one : parts) infos.push_back(one.info);
        return infos;
    }
};

/// `artifact`: where the bytes come from; null where nothing is written.
Contents contents_of(const ArtifactForm& form, const Artifact* artifact) {
    Contents contents;
    json layouts = json::object();
    json encodings = json::object();
    for (const auto& [name, matrix] : form.matrices) {
        layouts[name] = to_json(matrix.layout);
        add_matrix(contents.parts, name, matrix,
                   artifact == nullptr ? nullptr : &artifact->matrices.at(name));
    }
    for (const auto& [name, tensor] : form.tensors) {
        if (!is_plain(tensor.encoding))
            encodings[name] = {{"encoding", name_of(tensor.encoding)}, {"shape", tensor.shape}};
        add_stored(contents.parts, name, tensor);
    }
    const auto add_bytes = [&](std::string name, std::uint64_t size, auto content) {
        contents.parts.push_back(make_part(std::move(name), {static_cast<std::int64_t>(size)}, Encoding::u8,
                                           one_byte_order, [content] { return raw<char>(content()); }));
    };
    if (!form.tokenizer_format.empty())
        add_bytes(tokenizer_tensor, form.tokenizer_bytes,
                  [artifact]() -> const auto& { return artifact->tokenizer.data; });
    for (const auto& [name, size] : form.files)
        add_bytes(std::string(file_prefix) + name, size,
                  [artifact, name = name]() -> const auto& { return artifact->files.at(name); });
    std::stable_sort(contents.parts.begin(), contents.parts.end(),
                     [](const Part& a, const Part& b) { return a.order < b.order; });
    contents.metadata = {{"format", std::string(format_name)},
                         {"version", std::string(format_version)},
                         {"layouts", layouts.dump()},
                         {"encodings", encodings.dump()},
                         {"config", form.config.dump()},
                         {"extra", form.extra.dump()},
                         {"provenance", form.provenance.dump()},
                         {"tokenizer_format", form.tokenizer_format}};
    if (!form.tokenizer_file.empty()) contents.metadata[tokenizer_file_key] = form.tokenizer_file;
    return contents;
}

/// The parts of a file by name, each of which has to be taken once.
class Parts {
  public:
    explicit Parts(const Safetensors& file) {
        for (const auto& tensor : file.tensors) by_name_.emplace(tensor.name, &tensor);
    }
    const StoredTensor* find(const std::string& name) {
        const auto found = by_name_.find(name);
        if (found == by_name_.end()) return nullptr;
        const StoredTensor* tensor = found->second;
        by_name_.erase(found);
        return tensor;
    }
    const StoredTensor& take(const std::string& name, Encoding encoding, const Shape& shape) {
        const StoredTensor* tensor = find(name);
        require(tensor != nullptr, "the tensor '{}' is missing", name);
        check(*tensor, encoding, shape);
        return *tensor;
    }
    static void check(const StoredTensor& tensor, Encoding encoding, const Shape& shape) {
        require(tensor.encoding == encoding && tensor.shape == shape,
                "the tensor '{}' is {} {}; expected {} {}", tensor.name, name_of(tensor.encoding),
                to_string(tensor.shape), name_of(encoding), to_string(shape));
    }
    void expect_empty() const {
        require(by_name_.empty(), "the tensor '{}' belongs to nothing",
                by_name_.empty() ? "" : by_name_.begin()->first);
    }

  private:
    std::map<std::string, const StoredTensor*> by_name_;
};

Tensor floats_of(const StoredTensor& tensor) {
    Tensor values = Tensor::empty(tensor.shape);
    for (std::int64_t i = 0; i < values.size(); ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, tensor.bytes.data() + 2 * i, 2);
        values.data<float>()[i] = float_from_f16(bits);
    }
    return values;
}

Tensor integers_of(const StoredTensor& tensor) {
    Tensor values = Tensor::empty(tensor.shape, DType::i32);
    std::ranges::copy(tensor.bytes, values.bytes().begin());
    return values;
}

std::span<const std::uint8_t> octets(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()),
            bytes.size()};  // NOLINT: bytes as unsigned char
}

void require_zeros(const std::string& name, std::span<const std::byte> padding) {
    require(std::all_of(padding.begin(), padding.end(), [](std::byte b) { return b == std::byte{0}; }),
            "the padding of '{}' is not zero", name);
}

/// The packed codes of all stages, without the zeros behind them.
std::span<const std::uint8_t> packed_codes(Parts& parts, const std::string& name, const Layout& layout) {
    const std::int64_t bytes =
        PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits).bytes(layout.bits) *
        layout.residual;
    const StoredTensor& stored = parts.take(name, Encoding::u8, {padded(bytes)});
    require_zeros(name, stored.bytes.subspan(static_cast<std::size_t>(bytes)));
    return octets(stored.bytes).first(static_cast<std::size_t>(bytes));
}

Tensor unpacked_mapping(std::span<const std::uint8_t> packed, const Layout& layout) {
    const auto lines = PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits);
    const auto stage_bytes = static_cast<std::size_t>(lines.bytes(layout.bits));
    const auto stage_codes = static_cast<std::size_t>(layout.rows * layout.codes_per_row());
    Tensor mapping = Tensor::empty({layout.residual, layout.rows, layout.codes_per_row()}, DType::u8);
    for (std::size_t stage = 0; stage < static_cast<std::size_t>(layout.residual); ++stage)
        unpack_codes(packed.subspan(stage * stage_bytes, stage_bytes), lines, layout.bits,
                     mapping.values<std::uint8_t>().subspan(stage * stage_codes, stage_codes));
    return mapping;
}

Tensor row_order_of_two_bytes(std::span<const std::byte> stored) {
    const auto table = octets(stored);
    Tensor order = Tensor::empty({static_cast<std::int64_t>(table.size() / 2)}, DType::i32);
    for (std::size_t i = 0; i + 1 < table.size(); i += 2)
        order.values<std::int32_t>()[i / 2] = table[i] | table[i + 1] << 8;
    return order;
}

/// What add_matrix made of a part; the file's tensor has to have the type and the shape that the layout asks
/// for.
Tensor read_part(Parts& parts, const std::string& full, std::string_view suffix, const Layout& layout) {
    if (suffix == part::mapping) return unpacked_mapping(packed_codes(parts, full, layout), layout);
    if (suffix == part::codebooks)
        return floats_of(
            parts.take(full, Encoding::f16,
                       {layout.codebooks(), layout.residual, layout.codewords(), layout.dimension}));
    const StoredTensor* found = parts.find(full);
    if (found == nullptr) return {};
    if (suffix == part::row_order && layout.rows <= short_row_limit) {
        Parts::check(*found, Encoding::u8, {layout.rows, 2});
        return row_order_of_two_bytes(found->bytes);
    }
    if (suffix == part::scales || suffix == part::offsets || suffix == part::outlier_value) {
        const std::int64_t count = suffix == part::outlier_value
                                       ? static_cast<std::int64_t>(found->bytes.size() / 2)
                                       : layout.groups();
        Parts::check(*found, Encoding::f16, {count});
        return floats_of(*found);
    }
    if (suffix == part::runs) {
        Parts::check(*found, Encoding::i32, {found->rows(), 2});
        require(found->rows() > 0, "'{}' is empty", found->name);
    } else {
        const auto count = static_cast<std::int64_t>(found->bytes.size() / 4);
        Parts::check(
            *found, Encoding::i32,
            {suffix == part::row_order ? layout.rows
                                       : (suffix == part::outlier_row_start ? layout.rows + 1 : count)});
    }
    return integers_of(*found);
}

const std::string& metadata_entry(const Safetensors& file, const std::string& key) {
    const auto found = file.metadata.find(key);
    require(found != file.metadata.end(), "the metadata lacks '{}'", key);
    return found->second;
}

json json_entry(const Safetensors& file, const std::string& key) {
    try {
        return parse_json(metadata_entry(file, key));
    } catch (const Error& error) {
        throw error.within("metadata '" + key + "'");
    }
}

json object_entry(const Safetensors& file, const std::string& key) {
    json value = json_entry(file, key);
    require(value.is_object(), "metadata '{}' is not an object", key);
    return value;
}

StoredTensor read_encoded(Parts& parts, const std::string& name, const json& description) {
    require(description.is_object() && description.size() == 2 && description.contains("encoding") &&
                description.contains("shape") && description["encoding"].is_string() &&
                description["shape"].is_array(),
            "the encoding of '{}' is not described", name);
    StoredTensor tensor;
    tensor.name = name;
    tensor.encoding = parse_encoding(description["encoding"].get<std::string>());
    require(!is_plain(tensor.encoding), "'{}' is described as {}, which needs no description", name,
            name_of(tensor.encoding));
    for (const auto& side : description["shape"]) {
        require(side.is_number_unsigned() && side.get<std::uint64_t>() < std::uint64_t{1} << 31,
                "the shape of '{}' is not valid", name);
        tensor.shape.push_back(side.get<std::int64_t>());
    }
    const std::uint64_t bytes = encoded_bytes(tensor.encoding, tensor.shape);
    require(bytes < std::uint64_t{1} << 62, "'{}' is too large", name);
    const auto& stored = parts.take(name, Encoding::u8, {padded(static_cast<std::int64_t>(bytes))});
    require_zeros(name, stored.bytes.subspan(bytes));
    tensor.bytes = stored.bytes.first(bytes);
    return tensor;
}

/// Names come from an untrusted file and become paths: at most one folder deep, and nothing upwards.
void require_file_name(const std::string& name) {
    const std::filesystem::path path(name);
    const auto levels = std::distance(path.begin(), path.end());
    require(!name.empty() && path.is_relative() && levels <= 2 && path.lexically_normal() == path &&
                *path.begin() != ".." && path.has_filename(),
            "the file name '{}' is not valid", name);
}

void read_files(Checkpoint& artifact, const Safetensors& file, Parts& parts) {
    for (const auto& tensor : file.tensors) {
        if (!tensor.name.starts_with(file_prefix) || parts.find(tensor.name) == nullptr) continue;
        const std::string name = tensor.name.substr(file_prefix.size());
        require(tensor.encoding == Encoding::u8, "the file '{}' is not made of bytes", name);
        require_file_name(name);
        const auto data = octets(tensor.bytes);
        artifact.files[name].assign(data.begin(), data.end());
    }
    if (const auto same = file.metadata.find(tokenizer_file_key); same != file.metadata.end()) {
        require_file_name(same->second);
        artifact.files[same->second] = artifact.tokenizer.data;
    }
}

/// The parts of one matrix. `parts` outlives it.
PartReader reader_of(Parts& parts, const std::string& name) {
    return [&parts, name](std::string_view suffix, const Layout& layout) {
        return read_part(parts, name + std::string(suffix), suffix, layout);
    };
}

/// Reads the matrix that `description` and the parts of `name` describe.
using ReadMatrix = std::function<void(const std::string& name, const json& description, Parts& parts)>;

/// All but the matrices, which go to `read_matrix`, and the provenance.
Checkpoint parse_checkpoint(const Safetensors& file, const ReadMatrix& read_matrix) {
    const auto format = file.metadata.find("format");
    require(format != file.metadata.end() && format->second == format_name,
            "a safetensors file, but no compressed model (metadata 'format' is not '{}')", format_name);
    require(metadata_entry(file, "version") == format_version,
            "format version {}; this program reads version {}", metadata_entry(file, "version"),
            format_version);
    Checkpoint result;
    Parts parts(file);
    result.config = json_entry(file, "config");
    result.extra = object_entry(file, "extra");
    result.tokenizer.format = metadata_entry(file, "tokenizer_format");
    const json layouts = object_entry(file, "layouts");
    const json encodings = object_entry(file, "encodings");
    for (const auto& [name, description] : layouts.items()) {
        try {
            read_matrix(name, description, parts);
        } catch (const Error& error) {
            throw error.within("compressed matrix '" + name + "'");
        }
    }
    for (const auto& [name, description] : encodings.items()) {
        require(!layouts.contains(name), "'{}' is there twice", name);
        result.tensors.emplace(name, read_encoded(parts, name, description));
    }
    if (!result.tokenizer.format.empty()) {
        const StoredTensor* tokenizer = parts.find(tokenizer_tensor);
        require(tokenizer != nullptr && tokenizer->encoding == Encoding::u8, "the tokenizer is missing");
        const auto data = octets(tokenizer->bytes);
        result.tokenizer.data.assign(data.begin(), data.end());
    }
    read_files(result, file, parts);
    for (const auto& tensor : file.tensors) {
        if (!is_plain(tensor.encoding) || parts.find(tensor.name) == nullptr) continue;
        require(!layouts.contains(tensor.name), "'{}' is there twice", tensor.name);
        result.tensors.emplace(tensor.name, tensor);
    }
    parts.expect_empty();
    return result;
}

/// What becomes of the codes of each matrix once they are unpacked and checked: a byte a weight.
enum class Codes : std::uint8_t { kept, dropped };

Artifact parse_artifact(const Safetensors& file, Codes codes) {
    Artifact artifact;
    static_cast<Checkpoint&>(artifact) =
        parse_checkpoint(file, [&](const std::string& name, const json& description, Parts& parts) {
            CompressedMatrix& matrix =
                artifact.matrices.emplace(name, matrix_from_parts(name, description, reader_of(parts, name)))
                    .first->second;
            if (codes == Codes::kept) return;
            matrix.mapping = Tensor();
            release_mapped_pages();
        });
    artifact.provenance = json_entry(file, "provenance");
    return artifact;
}

MappedArtifact parse_mapped_artifact(const Safetensors& file, const std::shared_ptr<MappedFile>& mapped) {
    MappedArtifact artifact;
    static_cast<Checkpoint&>(artifact) = parse_checkpoint(file, [&](const std::string& name,
                                                                    const json& description, Parts& parts) {
        PackedMatrix matrix{
            matrix_from_parts(name, description, reader_of(parts, name), MappingPart::elsewhere), {}, mapped};
        matrix.codes = packed_codes(parts, name + std::string(part::mapping), matrix.values.layout);
        artifact.matrices.emplace(name, std::move(matrix));
    });
    artifact.provenance = json_entry(file, "provenance");
    artifact.owners.push_back(mapped);
    return artifact;
}

/// Runs `body(parsed file, its mapping)`; errors get the path.
template <class Body>
auto with_file(const std::filesystem::path& path, Body body) {
    auto mapped = std::make_shared<MappedFile>(path);
    try {
        return body(parse_safetensors(mapped->bytes()), mapped);
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

TensorFootprint footprint_of(const std::string& name, const MatrixForm& form) {
    const Layout& layout = form.layout;
    const auto unsigned_of = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
    const auto lines = PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits);
    TensorFootprint result;
    result.name = name;
    result.compressed = true;
    result.weights = layout.rows * layout.cols;
    result.kind = fmt::format("{} bits", layout.bits);
    if (layout.dimension > 1) result.kind += fmt::format(" / {}", layout.dimension);
    if (layout.residual > 1) result.kind += fmt::format(" x {}", layout.residual);
    // Whole bytes that hold codes; unused bits beyond them are padding.
    result.bytes.mapping =
        unsigned_of((layout.rows * layout.codes_per_row() * layout.bits * layout.residual + 7) / 8);
    result.bytes.padding =
        unsigned_of(padded(lines.bytes(layout.bits) * layout.residual)) - result.bytes.mapping;
    result.bytes.codebooks =
        unsigned_of(2 * layout.codebooks() * layout.residual * layout.codewords() * layout.dimension);
    result.bytes.scales = unsigned_of(2 * layout.groups() * ((form.scales ? 1 : 0) + (form.offsets ? 1 : 0)));
    result.bytes.runs = layout.runs.size() * 8;
    if (form.row_order)
        result.bytes.permutation = unsigned_of(layout.rows * (layout.rows <= short_row_limit ? 2 : 4));
    if (form.outliers > 0) result.bytes.outliers = unsigned_of((layout.rows + 1) * 4 + form.outliers * 6);
    return result;
}

TensorFootprint footprint_of(const std::string& name, const StoredTensor& tensor) {
    TensorFootprint result;
    result.name = name;
    result.kind = name_of(tensor.encoding);
    result.weights = element_count(tensor.shape);
    result.bytes.uncompressed = static_cast<std::uint64_t>(stored_bytes(tensor));
    return result;
}

/// `metadata`: bytes of the file's header.
ArtifactFootprint footprint_of(const ArtifactForm& form, std::uint64_t metadata) {
    ArtifactFootprint result;
    std::map<std::string, TensorFootprint> tensors;
    for (const auto& [name, matrix] : form.matrices) tensors.emplace(name, footprint_of(name, matrix));
    for (const auto& [name, tensor] : form.tensors) tensors.emplace(name, footprint_of(name, tensor));
    for (auto& [name, tensor] : tensors) {
        result.bytes += tensor.bytes;
        result.weights += tensor.weights;
        if (tensor.compressed) result.compressed_weights += tensor.weights;
        result.tensors.push_back(std::move(tensor));
    }
    result.bytes.tokenizer = form.tokenizer_bytes;
    for (const auto& [name, size] : form.files) result.bytes.tokenizer += size;
    result.bytes.metadata = metadata;
    return result;
}

}  // namespace

ArtifactForm form_of(const Checkpoint& checkpoint) {
    const TokenizerSource& tokenizer = checkpoint.tokenizer;
    ArtifactForm form;
    form.tensors = checkpoint.tensors;
    form.config = checkpoint.config;
    form.extra = checkpoint.extra;
    form.tokenizer_format = tokenizer.format;
    if (!tokenizer.format.empty()) form.tokenizer_bytes = tokenizer.data.size();
    for (const auto& [name, content] : checkpoint.files) {
        if (form.tokenizer_file.empty() && !content.empty() && content == tokenizer.data)
            form.tokenizer_file = name;
        else
            form.files.emplace(name, content.size());
    }
    return form;
}

ArtifactForm form_of(const Artifact& artifact) {
    ArtifactForm form = form_of(static_cast<const Checkpoint&>(artifact));
    form.provenance = artifact.provenance;
    for (const auto& [name, matrix] : artifact.matrices) form.matrices.emplace(name, form_of(matrix));
    return form;
}

Tensor Artifact::weights(const std::string& name) const {
    if (const auto matrix = matrices.find(name); matrix != matrices.end()) return decode(matrix->second);
    const auto tensor = tensors.find(name);
    require(tensor != tensors.end(), "the artifact has no tensor '{}'", name);
    return decode(tensor->second);
}

void write_artifact(const std::filesystem::path& path, const Artifact& artifact) {
    for (const auto& [name, matrix] : artifact.matrices) {
        matrix.validate(name);
        release_mapped_pages();  // it may be a view of a checkpoint
    }
    const Contents contents = contents_of(form_of(artifact), &artifact);
    auto writer = begin_safetensors(path, contents.metadata, contents.tensors());
    for (const auto& one : contents.parts) {
        writer.write(one.bytes());
        release_mapped_pages();
    }
    writer.commit();
}

Artifact read_artifact(const std::filesystem::path& path) {
    return with_file(path, [](const Safetensors& file, const std::shared_ptr<MappedFile>& mapped) {
        Artifact artifact = parse_artifact(file, Codes::kept);
        artifact.owners.push_back(mapped);
        return artifact;
    });
}

MappedArtifact map_artifact(const std::filesystem::path& path) {
    return with_file(path, parse_mapped_artifact);
}

ArtifactFootprint artifact_footprint(const ArtifactForm& form) {
    const Contents contents = contents_of(form, nullptr);
    return footprint_of(form, safetensors_header(contents.metadata, contents.tensors()).size());
}

ArtifactFootprint artifact_footprint(const std::filesystem::path& path) {
    return with_file(path, [](const Safetensors& file, const std::shared_ptr<MappedFile>& mapped) {
        const ArtifactForm form = form_of(parse_artifact(file, Codes::dropped));
        std::uint64_t data = 0;
        for (const auto& tensor : file.tensors) data += tensor.bytes.size();
        ArtifactFootprint result = footprint_of(form, mapped->bytes().size() - data);
        ensure(result.bytes.total() == mapped->bytes().size(), "{} of {} bytes accounted for",
               result.bytes.total(), mapped->bytes().size());
        return result;
    });
}

}  // namespace jlcm
