#include "core/codebook/onnx_export.hpp"

#include "core/base/files.hpp"
#include "core/codebook/onnx_decoder.hpp"
#include "core/codebook/onnx_levels.hpp"
#include "core/formats/onnx_edit.hpp"
#include "core/formats/preprocess_file.hpp"

#include <algorithm>
#include <cstring>

namespace jlcm {
namespace {

/// An input error unless the artifact was made of the file with this hash.
void require_source(const Artifact& artifact, const std::filesystem::path& source, const std::string& hash) {
    std::string expected = artifact.extra.value("onnx_sha256", "");
    Checkpoint found;
    found.sha256 = hash;
    if (expected.empty()) {
        // Older artifacts name the hash of all that the run read, preprocess.json included.
        const auto identity = artifact.provenance.find("identity");
        if (identity != artifact.provenance.end() && identity->is_object())
            expected = identity->value("model_sha256", "");
        add_preprocess_file(found, source);
    }
    require(expected.empty() || expected == found.sha256 || expected == hash,
            "{}: this is not the file that the artifact was made of: its SHA-256 is {}, expected {}",
            source.string(), found.sha256, expected);
}

bool is_same(const Tensor& a, const Tensor& b) {
    return a.size() == b.size() && std::ranges::equal(a.bytes(), b.bytes());
}

class Export {
  public:
    Export(const Artifact& artifact, const OnnxSource& source, OnnxEdit& edit, OnnxForm form)
        : artifact_(artifact), source_(source), edit_(edit), form_(form) {}

    OnnxExport run() {
        for (const OnnxNode& node : source_.changed_nodes) {
            if (node.type == "Identity")
                edit_.make_identity(node.outputs.front());
            else
                edit_.set_inputs(node.outputs.front(), node.inputs);
        }
        const Graph& graph = source_.lowered.graph;
        std::map<std::string, std::vector<Piece>> parts;
        for (const Parameter& parameter : graph.parameters()) {
            const Piece piece = piece_of(parameter);
            if (piece.origin != nullptr && piece.origin->first)
                parts[piece.origin->value].push_back(piece);
            else
                put_back(piece);
        }
        for (const auto& [constant, pieces] : parts) put_together(constant, pieces);
        return result_;
    }

  private:
    /// A parameter, its value in the artifact and its place in the file.
    struct Piece {
        std::string name;
        Tensor value;
        const CompressedMatrix* matrix = nullptr;  ///< null where it is not compressed
        const OnnxOrigin* origin = nullptr;        ///< null where it has no place
        bool is_unchanged = false;
    };

    Piece piece_of(const Parameter& parameter) const {
        const auto matrix = artifact_.matrices.find(parameter.name);
        const bool is_compressed = matrix != artifact_.matrices.end();
        require(
            is_compressed || artifact_.tensors.contains(parameter.name),
            "the artifact has no tensor '{}': it was made of another file, or with other options of the model",
            parameter.name);
        Piece piece{.name = parameter.name, .value = artifact_.weights(parameter.name)};
        require(
            piece.value.shape() == parameter.shape,
            "the tensor '{}' has shape {} in the artifact and {} in the file: it was made of another file",
            parameter.name, to_string(piece.value.shape()), to_string(parameter.shape));
        const auto found = source_.lowered.origins.find(parameter.name);
        if (found != source_.lowered.origins.end()) piece.origin = &found->second;
        if (is_compressed) piece.matrix = &matrix->second;
        piece.is_unchanged =
            !is_compressed && is_same(piece.value, source_.lowered.weights.at(parameter.name)) &&
            (piece.origin == nullptr || !source_.changed_constants.contains(piece.origin->value));
        return piece;
    }

    void put_back(const Piece& piece) {
        if (piece.is_unchanged && piece.origin == nullptr) return;
        require_place(piece.name, piece.origin != nullptr);
        const OnnxOrigin& origin = *piece.origin;
        const std::vector<float> numbers = in_file_order(origin, piece.value.values<float>());
        // One constant may be several parameters; those that differ become constants of their own.
        const auto [written, is_first] = written_.try_emplace(origin.value, numbers);
        if (is_first ? piece.is_unchanged : written->second == numbers) return;
        std::string name = origin.value;
        OnnxType type = OnnxType::float32;
        if (origin.is_levels) {
            name = own_name(piece.name);
            for (const std::string& reader : origin.readers)
                multiply_numbers(edit_, reader, origin.value, name);
        } else {
            if (edit_.has(origin.value)) type = edit_.type_of(origin.value);
            if (!is_first) {
                name = own_name(piece.name);
                for (const std::string& reader : origin.readers) edit_.rewire(reader, origin.value, name);
            }
        }
        ++(piece.matrix != nullptr ? result_.matrices : result_.others);
        if (piece.matrix != nullptr && form_ == OnnxForm::compact)
            return put(name, onnx_decoder(*piece.matrix, origin, name, type, source_.opset));
        put_numbers(name, origin.shape, numbers, type, piece.matrix != nullptr);
    }

    /// A constant that several parameters hold parts of.
    void put_together(const std::string& constant, std::vector<Piece> pieces) {
        if (std::ranges::all_of(pieces, &Piece::is_unchanged)) return;
        std::ranges::sort(pieces, {}, [](const Piece& piece) { return piece.origin->first.value_or(0); });
        const Shape& shape = pieces.front().origin->shape;
        std::vector<float> numbers(static_cast<std::size_t>(element_count(shape)), 0);
        std::vector<bool> is_known(numbers.size(), false);
        const auto know = [&](std::int64_t first, std::int64_t count) {
            for (std::int64_t i = first; i < first + count; ++i)
                is_known.at(static_cast<std::size_t>(i)) = true;
        };
        bool is_compressed = false;
        for (const Piece& piece : pieces) {
            know(piece.origin->first.value_or(0), piece.value.size());
            know(piece.origin->added.first, piece.origin->added.second);
            std::ranges::copy(piece.value.values<float>(), numbers.begin() + piece.origin->first.value_or(0));
            is_compressed = is_compressed || piece.matrix != nullptr;
            ++(piece.matrix != nullptr ? result_.matrices : result_.others);
        }
        require_place(pieces.front().name, std::ranges::count(is_known, false) == 0);
        const OnnxType type = edit_.has(constant) ? edit_.type_of(constant) : OnnxType::float32;
        if (is_compressed && form_ == OnnxForm::compact) return put_parts(constant, pieces, type);
        put_numbers(constant, shape, numbers, type, is_compressed);
    }

    /// Parts one behind the other along the first dimension, each decoded by itself.
    void put_parts(const std::string& constant, const std::vector<Piece>& pieces, OnnxType type) {
        std::vector<std::string> nodes;
        OnnxNewNode all{.type = "Concat", .inputs = {}, .output = constant, .integers = {{"axis", 0}}};
        for (const Piece& piece : pieces) {
            OnnxOrigin part = *piece.origin;
            part.shape[0] = part.shape[0] * piece.value.size() / element_count(part.shape);
            const std::string name = own_name(piece.name);
            all.inputs.push_back(name);
            if (piece.matrix != nullptr) {
                std::ranges::move(onnx_decoder(*piece.matrix, part, name, type, source_.opset),
                                  std::back_inserter(nodes));
            } else {
                nodes.push_back(onnx_constant(name, type, part.shape,
                                              onnx_elements(piece.value.values<float>(), type, name)));
            }
        }
        nodes.push_back(all.message());
        put(constant, std::move(nodes));
    }

    static void require_place(const std::string& parameter, bool has_place) {
        require(
            has_place,
            "the tensor '{}' is other than in the file, and there it is worked out of several constants, or of integers "
            "whose scale stands elsewhere: it has no place to be written back to",
            parameter);
    }

    [[nodiscard]] std::string own_name(const std::string& parameter) const {
        std::string name = parameter;
        while (edit_.has(name)) name += ".own";
        return name;
    }

    void put_numbers(const std::string& name, const Shape& shape, const std::vector<float>& numbers,
                     OnnxType type, bool is_compressed) {
        if (is_compressed && form_ == OnnxForm::float16 && type != OnnxType::float16) {
            const std::string half = name + "/float16";
            const OnnxNewNode cast{.type = "Cast",
                                   .inputs = {half},
                                   .output = name,
                                   .integers = {{"to", static_cast<std::int64_t>(type)}}};
            return put(name, {onnx_constant(half, OnnxType::float16, shape,
                                            onnx_elements(numbers, OnnxType::float16, name)),
                              cast.message()});
        }
        if (edit_.has(name))
            edit_.replace(name, shape, numbers);
        else
            edit_.add({onnx_constant(name, type, shape, onnx_elements(numbers, type, name))});
    }

    void put(const std::string& name, std::vector<std::string> nodes) {
        if (edit_.has(name))
            edit_.replace(name, std::move(nodes));
        else
            edit_.add(std::move(nodes));
    }

    const Artifact& artifact_;
    const OnnxSource& source_;
    OnnxEdit& edit_;
    OnnxForm form_;
    OnnxExport result_;
    std::map<std::string, std::vector<float>> written_;  ///< by the constants' names
};

}  // namespace

OnnxExport write_onnx_model(const std::filesystem::path& path, const Artifact& artifact,
                            const std::filesystem::path& source, const OnnxOptions& options, OnnxForm form) {
    require(artifact.config.is_object() && artifact.config.value("model_type", "") == "graph",
            "the artifact is a language model's, and no ONNX file's; export it with --format hf or gguf");
    const OnnxSource lowered = read_onnx_source(source, options);
    require_source(artifact, source, lowered.sha256);
    const MappedFile file(source);
    const auto folder = source.has_parent_path() ? source.parent_path() : std::filesystem::path(".");
    OnnxEdit edit(file.bytes(), folder);
    OnnxExport result = Export(artifact, lowered, edit, form).run();
    const std::string bytes = edit.bytes();
    AtomicFile out(path);
    out.write(bytes);
    out.commit();
    result.bytes = bytes.size();
    result.source_bytes = lowered.bytes;
    return result;
}

}  // namespace jlcm
