#include "core/formats/onnx.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/log.hpp"
#include "core/base/rng.hpp"
#include "core/formats/onnx_batch_norm.hpp"
#include "core/formats/onnx_context.hpp"
#include "core/formats/onnx_lowering.hpp"
#include "core/formats/preprocess_file.hpp"
#include "core/graph/cuts.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/graph/record.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

/// The graph at any batch size: what is the same at two of them does not depend on it. `own`: at the file's own.
LoweredOnnx lower_at_any_batch(const OnnxModel& model, Backend& backend, const LoweredOnnx* own = nullptr) {
    LoweredOnnx lowered = lower_onnx(model, 1009, backend, own);
    require(to_json(lowered.graph) == to_json(lower_onnx(model, 1013, backend, &lowered).graph),
            "what the model computes depends on the batch size in a way that is not supported");
    return lowered;
}

/// What `lowered` makes of `input`, sample by sample: its output, or the record of several.
Tensor output_of(const LoweredOnnx& lowered, const Weights& weights, const Tensor& input, Backend& backend) {
    Graph graph = lowered.graph;
    std::vector<ValueId> values;
    for (const LoweredOutput& each : lowered.outputs) values.push_back(each.value);
    const ValueId all = add_record(graph, values);
    return Executor(graph, backend, DType::f32).forward(graph.whole(all), weights, input);
}

/// `samples` that a graph takes, of numbers as the file's inputs have them.
Tensor random_samples(const Graph& graph, const std::vector<OnnxInput>& inputs, std::int64_t samples) {
    Shape shape = graph.input_shape();
    const Shape one(shape.begin() + 1, shape.end());
    shape.front() = samples;
    Tensor input = Tensor::empty(shape);
    const Rng rng(0, "samples apart");
    for (std::int64_t i = 0; i < input.size(); ++i)
        input.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    std::vector<Shape> shapes;
    for (const GraphInput& each : graph.inputs()) shapes.push_back(each.shape);
    if (shapes.empty()) shapes.push_back(one);
    const std::vector<RecordPart> parts = record_parts(shapes);
    Tensor record = input.reshape({samples, element_count(one)});
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (inputs[i].kind == ElementKind::number) continue;
        Tensor part = part_of(record, parts[i]);
        for (float& value : part.values<float>()) value = value > 0 ? 1.0F : 0.0F;
        put_part(part, parts[i], record);
    }
    return input;
}

Weights bound(const LoweredOnnx& lowered) {
    Weights weights(lowered.graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(lowered.graph.parameters().size()); ++id)
        weights.bind(id, lowered.weights.at(lowered.graph.parameter(id).name));
    return weights;
}

/// Whether values agree as far as float32 does.
bool agree(std::span<const float> a, std::span<const float> b) {
    double largest = 0;
    double distance = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isfinite(a[i]) != std::isfinite(b[i])) return false;
        if (!std::isfinite(a[i])) continue;
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
        distance = std::max(distance, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    }
    return distance <= 1e-3 * largest;
}

/// A file for a fixed number of samples may mix them, which nobody notices where it is one: what `lowered`
/// makes of twice as many has to be what `own`, the file as it is, makes of each half.
void require_samples_apart(const std::vector<OnnxInput>& inputs, const LoweredOnnx& own,
                           const LoweredOnnx& lowered, Backend& backend) {
    // Beyond this a damaged file keeps the machine busy.
    constexpr double most_operations = 4e12;
    double most_elements = 1 << 29;
    for (const Parameter& each : lowered.graph.parameters())
        most_elements += 512.0 * static_cast<double>(element_count(each.shape));
    Shape shape = own.graph.input_shape();
    const std::int64_t samples = shape.front();
    shape.front() *= 2;
    double elements = 0;
    for (const Shape& each : lowered.graph.infer(shape)) elements += static_cast<double>(element_count(each));
    require(elements <= most_elements &&
                lowered.graph.flops({0, lowered.graph.node_count()}, shape) <= most_operations,
            "it is too large to be tried out");
    const Tensor input = random_samples(lowered.graph, inputs, shape.front());
    const Tensor all = output_of(lowered, bound(lowered), input, backend);
    const Weights weights = bound(own);
    bool is_same = !all.shape().empty() && all.rows() % 2 == 0;
    for (std::int64_t half = 0; half < 2 && is_same; ++half) {
        const Tensor alone =
            output_of(own, weights, input.slice(half * samples, (half + 1) * samples), backend);
        const std::int64_t rows = all.rows() / 2;
        const Tensor part = all.slice(half * rows, (half + 1) * rows);
        is_same = part.size() == alone.size() && agree(alone.values<float>(), part.values<float>());
    }
    require(is_same, "samples that go through it together come out otherwise than alone");
}

/// Of a file for a fixed number of samples, whose lowering as it is is `own`.
LoweredOnnx opened(const OnnxModel& model, const LoweredOnnx& own, Backend& backend) {
    LoweredOnnx lowered = lower_at_any_batch(model, backend, &own);
    require_samples_apart(model.inputs, own, lowered, backend);
    return lowered;
}

/// Of a file that cannot be opened for any number of samples: one is what the file takes at a time. `own`: at the file's
/// own batch.
LoweredOnnx lower_one_by_one(OnnxModel model, Backend& backend, const LoweredOnnx* own = nullptr) {
    if (model.samples() != 1) model.join_samples();
    LoweredOnnx lowered = lower_onnx(model, 0, backend, own);
    lowered.graph.set_one_by_one();
    for (LoweredOutput& output : lowered.outputs) output.value = by_sample(lowered.graph, output.value);
    if (lowered.outputs.size() == 1) lowered.graph.set_head(lowered.outputs.front().value, -1);
    return lowered;
}

/// Of a file for a fixed number of samples.
LoweredOnnx lower_fixed(const OnnxModel& model, Backend& backend) {
    // What is wrong with the file as it is comes first.
    const LoweredOnnx own = lower_onnx(model, 0, backend);
    try {
        return opened(model, own, backend);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::input) throw;
        OnnxModel other = model;
        other.moves_samples = true;
        try {
            return opened(other, own, backend);
        } catch (const Error& second) {
            if (second.kind() != ErrorKind::input) throw;
        }
        log_info("samples run one by one: {}", error.what());
        return lower_one_by_one(model, backend, &own);
    }
}

LoweredOnnx lower(const OnnxModel& model, Backend& backend) {
    if (model.inputs.front().is_whole) return lower_one_by_one(model, backend);
    if (model.samples() > 0) return lower_fixed(model, backend);
    try {
        return lower_at_any_batch(model, backend);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::input) throw;
        // The batch may be open in name only, and the shapes inside those of one sample.
        OnnxModel one = model;
        one.set_samples(1);
        try {
            return lower_fixed(one, backend);
        } catch (const Error&) {
            throw error;
        }
    }
}

/// "'p' [n, 10]", its shape worked out where the file does not state it.
std::string describe_output(const OnnxModel& model, const std::string& name, Backend& backend) {
    if (const auto found = model.output_shapes.find(name); found != model.output_shapes.end())
        return fmt::format("'{}' {}", name, found->second);
    try {
        OnnxModel part = model;
        part.outputs = {name};
        const Graph graph = lower(part, backend).graph;
        const Shape shape = graph.infer(graph.input_shape()).at(static_cast<std::size_t>(graph.features()));
        std::vector<std::string> sizes{"n"};
        for (std::size_t d = 1; d < shape.size(); ++d) sizes.push_back(std::to_string(shape[d]));
        return fmt::format("'{}' [{}]", name, fmt::join(sizes, ", "));
    } catch (const Error&) {
        return fmt::format("'{}' (its shape is not known)", name);
    }
}

/// Leaves the outputs that are asked for, all unless the user chooses, and returns what is said of each.
std::vector<OutputChoice> choose_outputs(OnnxModel& model, const ReadOptions& read) {
    std::vector<OutputChoice> choices = read.outputs;
    if (choices.empty())
        for (const std::string& name : model.outputs)
            choices.push_back({.name = name, .meaning = {}, .axis = {}});
    if (choices.front().name.empty() && model.outputs.size() == 1)
        choices.front().name = model.outputs.front();
    std::set<std::string> chosen;
    for (const OutputChoice& choice : choices) {
        if (!std::ranges::count(model.outputs, choice.name)) {
            std::vector<std::string> list;
            for (const std::string& name : model.outputs)
                list.push_back(describe_output(model, name, read.backend));
            fail("the model has no output '{}'; it has {}", choice.name, fmt::join(list, ", "));
        }
        require(chosen.insert(choice.name).second, "model.outputs names '{}' twice", choice.name);
    }
    model.outputs.clear();
    for (const OutputChoice& choice : choices) model.outputs.push_back(choice.name);
    return choices;
}

/// Says where blocks may end and what the outputs mean. Those that are constants or inputs are left out where others
/// are.
void state_outputs(LoweredOnnx& lowered, const std::vector<OutputChoice>& choices) {
    std::vector<ValueId> values;
    std::vector<OutputChoice> stated;
    for (const LoweredOutput& output : lowered.outputs) {
        values.push_back(output.value);
        stated.push_back(*std::ranges::find(choices, output.name, &OutputChoice::name));
    }
    for (const OutputChoice& choice : choices)
        if (!std::ranges::count(lowered.outputs, choice.name, &LoweredOutput::name))
            log_info("the output '{}' is a constant or an input, and left out", choice.name);
    lowered.graph = with_records(lowered.graph, values);
    state_outputs(lowered.graph, values, stated);
}

/// extra["left_out"]; null where everything with weights was taken.
nlohmann::json left_out_record(const OnnxModel& model, const std::vector<std::string>& outputs) {
    const LeftOut left = left_out(model);
    if (outputs.empty() && left.weights == 0) return {};
    return {{"outputs", outputs},
            {"nodes", left.nodes},
            {"weights", left.weights},
            {"bytes", left.bytes},
            {"tensors", left.tensors}};
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
    return path.has_parent_path() ? path.parent_path() : ".";
}

/// Of the file; with external data, of the lines "<sha256>  <file name>\n" of all files.
std::string hash_of(const MappedFile& file, const std::vector<std::filesystem::path>& others) {
    if (others.empty()) return sha256(file.bytes());
    const auto line = [](const MappedFile& each) {
        return fmt::format("{}  {}\n", sha256(each.bytes()), each.path().filename().string());
    };
    std::string lines = line(file);
    for (const auto& other : others) lines += line(MappedFile(other));
    return sha256(std::as_bytes(std::span(lines)));
}

/// A file that was parsed, with the outputs that are taken.
struct Opened {
    MappedFile file;
    OnnxModel model{};
    std::vector<OutputChoice> outputs{};
    std::vector<std::string> dropped{};  ///< outputs
    std::string sha256{};
    std::uint64_t bytes = 0;  ///< with external data
};

Opened open(const std::filesystem::path& path, const OnnxOptions& options) {
    std::vector<std::filesystem::path> files;
    Opened opened{.file = MappedFile(path)};
    const MappedFile& file = opened.file;
    opened.model = parse_onnx(file.bytes(), {.known_inputs = {},
                                             .inputs = options.inputs.all,
                                             .folder = folder_of(path),
                                             .on_file = [&](const auto& other) { files.push_back(other); },
                                             .leaves_values = !options.fold_batch_norm});
    opened.dropped = opened.model.outputs;
    opened.outputs = choose_outputs(opened.model, options.read);
    for (const OutputChoice& output : opened.outputs) std::erase(opened.dropped, output.name);
    opened.sha256 = hash_of(file, files);
    opened.bytes = file.bytes().size();
    for (const auto& other : files) opened.bytes += std::filesystem::file_size(other);
    return opened;
}

}  // namespace

Checkpoint read_onnx_checkpoint(const std::filesystem::path& path, const OnnxOptions& options) {
    try {
        Opened opened = open(path, options);
        OnnxModel& model = opened.model;
        auto left = left_out_record(model, opened.dropped);
        if (options.fold_batch_norm) fold_batch_norms(model);
        LoweredOnnx lowered = lower(model, options.read.backend);
        state_outputs(lowered, opened.outputs);
        Checkpoint checkpoint;
        if (!left.is_null()) checkpoint.extra["left_out"] = std::move(left);
        checkpoint.config = {{"model_type", "graph"}, {"graph", to_json(lowered.graph)}};
        for (auto& [name, tensor] : lowered.weights) {
            const auto owner = std::make_shared<const Tensor>(tensor);
            StoredTensor stored;
            stored.name = name;
            stored.shape = tensor.shape();
            stored.encoding = Encoding::f32;
            stored.bytes = owner->bytes();
            checkpoint.tensors.emplace(name, stored);
            checkpoint.owners.push_back(owner);
        }
        const bool is_named = path.stem() != "model" || !path.has_parent_path();
        checkpoint.extra["name"] = (is_named ? path.stem() : path.parent_path().filename()).string();
        checkpoint.description = fmt::format("ONNX, opset {}, F32", model.opset);
        checkpoint.extra["onnx_sha256"] = opened.sha256;
        checkpoint.sha256 = std::move(opened.sha256);
        add_preprocess_file(checkpoint, path);
        return checkpoint;
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

const bool is_registered = [] {
    add_checkpoint_reader(".onnx", [](const std::filesystem::path& path, const ReadOptions& options) {
        return read_onnx_checkpoint(path, {.read = options});
    });
    return true;
}();

OnnxSource read_onnx_source(const std::filesystem::path& path, const OnnxOptions& options) {
    try {
        Opened opened = open(path, options);
        OnnxModel& model = opened.model;
        OnnxSource source;
        source.opset = model.opset;
        source.sha256 = std::move(opened.sha256);
        source.bytes = opened.bytes;
        if (options.fold_batch_norm) {
            const OnnxModel former = model;
            fold_batch_norms(model);
            for (std::size_t i = 0; i < model.nodes.size(); ++i)
                if (model.nodes[i].type != former.nodes[i].type ||
                    model.nodes[i].inputs != former.nodes[i].inputs)
                    source.changed_nodes.push_back(model.nodes[i]);
            for (const auto& [name, tensor] : model.constants) {
                const auto found = former.constants.find(name);
                if (found == former.constants.end() || found->second.values != tensor.values)
                    source.changed_constants.insert(name);
            }
        }
        source.lowered = lower(model, options.read.backend);
        return source;
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

std::vector<float> in_file_order(const OnnxOrigin& origin, std::span<const float> values) {
    const OnnxArrangement& arrangement = origin.arrangement;
    std::vector<float> result(values.begin(), values.end());
    if (!arrangement.places.empty()) {
        // Dimension d of the file lies at places[d]: it moves back there.
        Shape moved(arrangement.shape.size());
        std::vector<int> back(moved.size());
        for (std::size_t d = 0; d < moved.size(); ++d) {
            const auto place = static_cast<std::size_t>(arrangement.places[d]);
            moved[place] = arrangement.shape[d];
            back[place] = static_cast<int>(d);
        }
        result = onnx_rules::moved({moved, std::move(result)}, back).floats();
    }
    if (arrangement.factor != 1)
        for (float& value : result)
            value = static_cast<float>(static_cast<double>(value) / arrangement.factor);
    return result;
}

}  // namespace jlcm
