#include "core/codebook/onnx_export.hpp"

#include "core/base/files.hpp"
#include "core/codebook/onnx_decoder.hpp"
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
        for (const Parameter& parameter : graph.parameters()) put_back(parameter);
        return result_;
    }

  private:
    void put_back(const Parameter& parameter) {
        const auto matrix = artifact_.matrices.find(parameter.name);
        const bool is_compressed = matrix != artifact_.matrices.end();
        require(
            is_compressed || artifact_.tensors.contains(parameter.name),
            "the artifact has no tensor '{}': it was made of another file, or with other options of the model",
            parameter.name);
        const Tensor value = artifact_.weights(parameter.name);
        require(
            value.shape() == parameter.shape,
            "the tensor '{}' has shape {} in the artifact and {} in the file: it was made of another file",
            parameter.name, to_string(value.shape()), to_string(parameter.shape));
        const auto found = source_.lowered.origins.find(parameter.name);
        const bool is_unchanged = !is_compressed &&
                                  is_same(value, source_.lowered.weights.at(parameter.name)) &&
                                  (found == source_.lowered.origins.end() ||
                                   !source_.changed_constants.contains(found->second.value));
        if (is_unchanged && found == source_.lowered.origins.end()) return;
        require(
            found != source_.lowered.origins.end(),
            "the tensor '{}' is other than in the file, and there it is worked out of several constants, or of integers "
            "whose scale stands elsewhere: it has no place to be written back to",
            parameter.name);
        const OnnxOrigin& origin = found->second;
        const std::vector<float> numbers = in_file_order(origin, value.values<float>());
        // One constant may be several parameters; those that differ become constants of their own.
        const auto [written, is_first] = written_.try_emplace(origin.value, numbers);
        if (is_first ? is_unchanged : written->second == numbers) return;
        std::string name = origin.value;
        OnnxType type = OnnxType::float32;
        if (edit_.has(origin.value)) type = edit_.type_of(origin.value);
        if (!is_first) {
            name = parameter.name == origin.value ? parameter.name + ".own" : parameter.name;
            while (edit_.has(name)) name += ".own";
            for (const std::string& reader : origin.readers) edit_.rewire(reader, origin.value, name);
        }
        ++(is_compressed ? result_.matrices : result_.others);
        if (is_compressed && form_ == OnnxForm::compact)
            return put(name, onnx_decoder(matrix->second, origin, name, type, source_.opset));
        if (is_compressed && form_ == OnnxForm::float16 && type != OnnxType::float16) {
            const std::string half = name + "/float16";
            const OnnxNewNode cast{.type = "Cast",
                                   .inputs = {half},
                                   .output = name,
                                   .integers = {{"to", static_cast<std::int64_t>(type)}},
                                   .texts = {},
                                   .lists = {}};
            return put(name, {onnx_constant(half, OnnxType::float16, origin.shape,
                                            onnx_elements(numbers, OnnxType::float16, name)),
                              cast.message()});
        }
        if (edit_.has(name))
            edit_.replace(name, origin.shape, numbers);
        else
            edit_.add({onnx_constant(name, type, origin.shape, onnx_elements(numbers, type, name))});
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
