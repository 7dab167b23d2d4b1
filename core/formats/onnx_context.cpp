#include "core/formats/onnx_context.hpp"

#include "core/base/files.hpp"
#include "core/graph/record.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>

namespace jlcm::onnx_rules {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// Some rows of the last two dimensions at a time: one of them is often the innermost of the result.
template <class T>
std::vector<T> moved_values(const std::vector<T>& values, const Shape& shape, const std::vector<int>& places,
                            const Shape& result) {
    if (std::ranges::is_sorted(places)) return values;
    constexpr std::int64_t rows_at_once = 16;
    const Strides to = strides_of(result);
    const auto step = [&](std::size_t d) { return to.steps[index(places[d])]; };
    const std::size_t outer = shape.size() - 2;
    const std::int64_t rows = shape[outer];
    const std::int64_t cols = shape[outer + 1];
    const std::int64_t row_step = step(outer);
    const std::int64_t col_step = step(outer + 1);
    std::vector<T> out(values.size());
    std::vector<std::int64_t> position(outer, 0);
    for (std::int64_t first = 0; first < std::ssize(values); first += rows * cols) {
        const T* from = values.data() + first;
        T* at = out.data();
        for (std::size_t d = 0; d < outer; ++d) at += position[d] * step(d);
        for (std::int64_t begin = 0; begin < rows; begin += rows_at_once) {
            const std::int64_t end = std::min(rows, begin + rows_at_once);
            for (std::int64_t c = 0; c < cols; ++c)
                for (std::int64_t r = begin; r < end; ++r)
                    at[r * row_step + c * col_step] = from[r * cols + c];
        }
        for (std::size_t d = outer; d-- > 0;) {
            if (++position[d] < shape[d]) break;
            position[d] = 0;
        }
    }
    return out;
}

Shape moved_shape(const Shape& shape, const std::vector<int>& places) {
    Shape result(shape.size());
    for (std::size_t d = 0; d < shape.size(); ++d) result[index(places[d])] = shape[d];
    return result;
}

}  // namespace

std::vector<std::int64_t> bounded(std::vector<std::int64_t> values) {
    for (const std::int64_t value : values)
        require(value > -size_limit && value < size_limit, "{} as a size is out of range", value);
    return values;
}

std::vector<int> in_order(std::size_t rank) {
    std::vector<int> places(rank);
    std::iota(places.begin(), places.end(), 0);
    return places;
}

std::vector<int> image_places(std::size_t rank) {
    require(rank >= 3 && rank <= 5, "images of {} dimensions; supported are one to three spatial ones",
            rank < 2 ? 0 : rank - 2);
    std::vector<int> places{0, static_cast<int>(rank) - 1};
    for (std::size_t d = 2; d < rank; ++d) places.push_back(static_cast<int>(d) - 1);
    return places;
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
    const auto size = static_cast<std::int64_t>(rank);
    require(axis >= -size && axis < size, "the axis {} of {} dimensions", axis, rank);
    return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

std::vector<float> as_numbers(const OnnxTensor& tensor) {
    if (tensor.is_float()) return tensor.floats();
    constexpr std::int64_t most = std::int64_t{1} << 24;
    std::vector<float> values;
    values.reserve(tensor.integers().size());
    for (const std::int64_t value : tensor.integers()) {
        require(value >= -most && value <= most,
                "the integer {} among data, which are computed in float32: it is "
                "exact up to {}",
                value, most);
        values.push_back(static_cast<float>(value));
    }
    return values;
}

OnnxTensor moved(const OnnxTensor& tensor, const std::vector<int>& places) {
    OnnxTensor result;
    result.shape = moved_shape(tensor.shape, places);
    std::visit(
        [&](const auto& values) { result.values = moved_values(values, tensor.shape, places, result.shape); },
        tensor.values);
    return result;
}

Value known(std::string name, OnnxTensor tensor) {
    const auto shared = std::make_shared<const OnnxTensor>(std::move(tensor));
    return {std::move(name), shared, -1, shared->shape, {}};
}

Context::Context(const OnnxModel& model, std::int64_t batch, Backend& backend, const LoweredOnnx* other)
    : model_(&model), backend_(&backend), other_(other), batch_(batch) {
    // The model outlives the lowering: nothing is copied.
    for (const auto& [name, tensor] : model.constants)
        values_[name] = {name, {std::shared_ptr<const void>(), &tensor}, -1, tensor.shape, {}};
    if (batch > 0 && model.samples() > 0) fixed_batch_ = model.samples();
    if (model.inputs.size() == 1)
        add_input(model.inputs.front());
    else
        add_record(model.inputs);
}

Shape Context::settled(const OnnxInput& input) const {
    Shape shape = input.shape;
    require(!shape.empty(), "the input '{}' has no dimensions", input.name);
    if (input.is_whole) shape.insert(shape.begin(), 1);
    if (batch_ > 0) shape[input.samples] = batch_;
    std::vector<std::string> wanted;
    std::vector<std::string> stated;
    bool is_settled = true;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        const bool is_open = shape[d] <= 0;
        stated.push_back(d == input.samples ? "n" : is_open ? "?" : std::to_string(shape[d]));
        if (d == input.samples) continue;
        is_settled = is_settled && !is_open;
        wanted.push_back(is_open ? fmt::format("SIZE_{}", d) : std::to_string(shape[d]));
    }
    require(
        is_settled,
        "the file leaves sizes of the input '{0}' open: [{1}], n being the number of samples. Say them: "
        "model.inputs: {{{0}: {{shape: [{2}]}}}} in a spec, --inputs '{{{0}: {{shape: [{2}]}}}}' of jlcm-eval",
        input.name, fmt::join(stated, ", "), fmt::join(wanted, ", "));
    require(shape[input.samples] > 0, "the number of samples is open");
    require(element_count(bounded(shape)) > 0, "the input '{}' is empty", input.name);
    return shape;
}

void Context::add_input(const OnnxInput& input) {
    Shape shape = settled(input);
    Shape example = shape;
    if (batch_ > 0) example[0] = 1;
    ValueId id = result_.graph.add_input(input.name, example);
    shapes_.push_back(shape);
    if (input.is_whole) {
        shape.erase(shape.begin());
        id = add(input.name, make_reshape(shape), {id}, {});
    }
    values_[input.name] = {
        input.name, {}, id, shape, in_order(shape.size()), input.kind != ElementKind::number};
}

void Context::add_record(const std::vector<OnnxInput>& inputs) {
    std::vector<GraphInput> parts;
    std::vector<Shape> shapes;
    for (const OnnxInput& input : inputs) {
        shapes.push_back(settled(input));
        Shape rest = shapes.back();
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(input.samples));
        parts.push_back({input.name, std::move(rest), input.kind});
    }
    std::vector<Shape> of_sample;
    for (const GraphInput& part : parts) of_sample.push_back(part.shape);
    const std::vector<RecordPart> columns = record_parts(of_sample);
    const std::int64_t elements = columns.back().first + columns.back().size;
    const std::int64_t samples = shapes.front()[inputs.front().samples];
    const ValueId record = result_.graph.add_input("inputs", {batch_ > 0 ? 1 : samples, elements});
    result_.graph.set_inputs(std::move(parts));
    shapes_.push_back(bounded({samples, elements}));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const RecordPart& part = columns[i];
        Shape open = part.shape;
        open.insert(open.begin(), -1);
        ValueId id = add(inputs[i].name, make_slice({1, part.first, part.size, 1}), {record}, {});
        id = add(inputs[i].name, make_reshape(open), {id}, {});
        std::vector<int> places{0};
        for (std::size_t d = 0; d + 1 < shapes[i].size(); ++d) places.push_back(static_cast<int>(d) + 1);
        std::rotate(places.begin(), places.begin() + 1,
                    places.begin() + 1 + static_cast<std::ptrdiff_t>(inputs[i].samples));
        if (inputs[i].is_whole) {
            shapes[i].erase(shapes[i].begin());
            id = add(inputs[i].name, make_reshape(shapes[i]), {id}, {});
            places = in_order(shapes[i].size());
        }
        values_[inputs[i].name] = {
            inputs[i].name, {}, id, shapes[i], std::move(places), inputs[i].kind != ElementKind::number};
    }
}

Context::Context(const Context& outer, const OnnxNode& node)
    : model_(outer.model_), backend_(outer.backend_), needed_(outer.needed_) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (node.has_input(i)) values_.emplace(node.inputs[i], outer.input(node, i));
    (void)result_.graph.add_input("none", {1});
    shapes_.push_back({1});
}

bool Context::has_inputs(const OnnxNode& node) const {
    return std::ranges::all_of(
        node.inputs, [&](const std::string& name) { return name.empty() || values_.contains(name); });
}

const Value* Context::find(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
}

const Value& Context::input(const OnnxNode& node, std::size_t i) const {
    require(node.has_input(i), "input {} is missing", i);
    const Value* value = find(node.inputs[i]);
    require(value != nullptr, "nothing makes input {} ('{}')", i, node.inputs[i]);
    return *value;
}

Value Context::data(const OnnxNode& node, std::size_t i) {
    const Value& value = input(node, i);
    require(!value.constant || value.constant->is_float(),
            "input {} ('{}') holds integers, where numbers are supported", i, value.name);
    return any_data(node, i);
}

Value Context::any_data(const OnnxNode& node, std::size_t i) {
    Value value = input(node, i);
    if (!value.constant) return value;
    value.is_integer = !value.constant->is_float();
    value.places = in_order(value.rank());
    value.id = plain(node, value);
    value.constant.reset();
    return value;
}

const OnnxTensor& Context::constant(const OnnxNode& node, std::size_t i) const {
    const Value& value = input(node, i);
    require(value.constant != nullptr, "input {} ('{}') has to be known without the model's input", i,
            value.name);
    return *value.constant;
}

double Context::number(const OnnxNode& node, std::size_t i) const {
    const OnnxTensor& tensor = constant(node, i);
    require(element_count(tensor.shape) == 1, "input {} has shape {}, expected one number", i,
            to_string(tensor.shape));
    return tensor.is_float() ? static_cast<double>(tensor.floats()[0])
                             : static_cast<double>(tensor.integers()[0]);
}

std::optional<std::vector<std::int64_t>> Context::integers(const OnnxNode& node, const std::string& key,
                                                           std::size_t i) const {
    if (node.has(key)) return node.integers(key);
    if (!node.has_input(i)) return std::nullopt;
    return constant(node, i).integers();
}

void Context::add_constants(const std::map<std::string, OnnxTensor>& constants) {
    for (const auto& [name, tensor] : constants)
        values_[name] = {name, {std::shared_ptr<const void>(), &tensor}, -1, tensor.shape, {}};
}

void Context::load(const OnnxNode& node) {
    for (const std::string& name : node.inputs) {
        const auto found = values_.find(name);
        if (found == values_.end() || !found->second.constant || found->second.constant->left.empty())
            continue;
        auto& constant = found->second.constant;
        loaded_ += constant->left.size();
        left_[name] = std::exchange(constant, std::make_shared<const OnnxTensor>(constant->loaded()));
    }
}

void Context::unload() {
    constexpr std::size_t many = 1 << 24;
    for (auto& [name, constant] : left_) values_[name].constant = std::move(constant);
    left_.clear();
    if (loaded_ < many) return;
    release_mapped_pages();
    loaded_ = 0;
}

void Context::set_integer(const OnnxNode& node, std::size_t output, bool is_integer) {
    if (output >= node.outputs.size()) return;
    const auto found = values_.find(node.outputs[output]);
    if (found != values_.end() && !found->second.constant) found->second.is_integer = is_integer;
}

void Context::set(const OnnxNode& node, std::size_t output, Value value) {
    if (output >= node.outputs.size() || node.outputs[output].empty()) return;
    value.name = node.outputs[output];
    if (value.constant) value.shape = value.constant->shape;
    values_[value.name] = std::move(value);
}

const Shape& Context::graph_shape(ValueId id) const {
    ensure(id >= 0 && index(id) < shapes_.size(), "value {} of a graph of {}", id, shapes_.size());
    return shapes_[index(id)];
}

double Context::elements() const {
    double total = 0;
    for (const Shape& shape : shapes_) total += static_cast<double>(element_count(shape));
    return total;
}

ValueId Context::add(const std::string& name, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                     const std::vector<ParameterId>& parameters) {
    std::vector<Shape> in;
    std::vector<Shape> with;
    for (const ValueId id : inputs) in.push_back(graph_shape(id));
    for (const ParameterId id : parameters) with.push_back(result_.graph.parameter(id).shape);
    shapes_.push_back(op->infer(in, with));
    require(element_count(bounded(shapes_.back())) > 0, "a value of shape {} has no elements",
            to_string(shapes_.back()));
    return result_.graph.add(name, op, inputs, parameters);
}

Value Context::emit(const OnnxNode& node, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                    const std::vector<ParameterId>& parameters) {
    const ValueId id = add(node.name, op, inputs, parameters);
    return {"", {}, id, graph_shape(id), in_order(graph_shape(id).size())};
}

Value Context::emit(const OnnxNode& node, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                    const std::vector<ParameterId>& parameters, std::vector<int> places) {
    const ValueId id = add(node.name, op, inputs, parameters);
    Shape shape;
    for (const int place : places) shape.push_back(graph_shape(id).at(index(place)));
    return {"", {}, id, std::move(shape), std::move(places)};
}

ValueId Context::in_places(const OnnxNode& node, const Value& value, const std::vector<int>& places) {
    ensure(places.size() == value.rank(), "{} places for {} dimensions", places.size(), value.rank());
    if (value.constant) {
        const OnnxTensor tensor = moved(*value.constant, places);
        // Dimensions of one in front change nothing where shapes are broadcast.
        Shape shape = tensor.shape;
        while (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
        const ParameterId id = parameter(node, value.name, "constant", shape, as_numbers(tensor), false,
                                         {value.shape, places, 1});
        const ValueId stored = add(value.name, make_constant(), {}, {id});
        return shape == tensor.shape ? stored : add(value.name, make_reshape(tensor.shape), {stored}, {});
    }
    if (value.places == places) return value.id;
    // Dimension `places[d]` of the result is where dimension d is now.
    std::vector<int> order(places.size());
    for (std::size_t d = 0; d < places.size(); ++d) order[index(places[d])] = value.places[d];
    std::vector<int> moving;
    for (const int d : order)
        if (graph_shape(value.id)[index(d)] != 1) moving.push_back(d);
    if (std::ranges::is_sorted(moving))
        return add(node.name + ".reshape", make_reshape(open_shape(moved_shape(value.shape, places))),
                   {value.id}, {});
    return add(node.name + ".transpose", make_transpose(order), {value.id}, {});
}

ValueId Context::plain(const OnnxNode& node, const Value& value) {
    return in_places(node, value, in_order(value.rank()));
}

ValueId Context::channels_last(const OnnxNode& node, const Value& value) {
    return in_places(node, value, image_places(value.rank()));
}

ParameterId Context::parameter(const OnnxNode& node, const std::string& name, const std::string& role,
                               const Shape& shape, const std::vector<float>& values, bool linear,
                               const OnnxArrangement& arrangement) {
    require(element_count(shape) == std::ssize(values), "'{}' has {} elements, expected shape {}", name,
            values.size(), to_string(shape));
    std::string unique = name;
    for (int i = 2;; ++i) {
        const auto found = result_.weights.find(unique);
        if (found == result_.weights.end()) break;
        if (found->second.shape() == shape && std::ranges::equal(found->second.values<float>(), values)) {
            if (const auto same = result_.graph.find_parameter(unique)) {
                note_origin(node, unique, name, arrangement);
                return *same;
            }
        }
        unique = fmt::format("{}.{}", name, i);
    }
    result_.weights.emplace(unique, stored(unique, shape, values));
    note_origin(node, unique, name, arrangement);
    return result_.graph.add_parameter({unique, role, shape, -1, linear});
}

Tensor Context::stored(const std::string& name, const Shape& shape, const std::vector<float>& values) const {
    if (other_ != nullptr) {
        const auto same = other_->weights.find(name);
        if (same != other_->weights.end() && same->second.shape() == shape &&
            std::memcmp(same->second.bytes().data(), values.data(), values.size() * sizeof(float)) == 0)
            return same->second;
    }
    return Tensor::from<float>(shape, values);
}

void Context::note_origin(const OnnxNode& node, const std::string& parameter, const std::string& name,
                          const OnnxArrangement& arrangement) {
    const Value* value = find(name);
    const std::int64_t elements = element_count(result_.weights.at(parameter).shape());
    if (value == nullptr || !value->constant || element_count(value->shape) != elements) return;
    OnnxOrigin& origin = result_.origins[parameter];
    const auto levels = levels_.find(name);
    origin.is_levels = levels != levels_.end();
    origin.value = origin.is_levels ? levels->second : name;
    origin.shape = value->shape;
    origin.arrangement = arrangement;
    if (node.outputs.empty() || std::ranges::count(origin.readers, node.outputs.front()) > 0) return;
    origin.readers.push_back(node.outputs.front());
}

void Context::note_part(ParameterId parameter, const std::string& constant, std::int64_t first,
                        std::pair<std::int64_t, std::int64_t> added) {
    const Value* value = find(constant);
    if (value == nullptr || !value->constant) return;
    OnnxOrigin& origin = result_.origins[result_.graph.parameter(parameter).name];
    origin = {.value = constant,
              .shape = value->shape,
              .arrangement = {},
              .readers = {},
              .first = first,
              .added = added};
}

void Context::add_levels(const Value& centred, const std::string& constant) {
    values_[centred.name] = centred;
    levels_[centred.name] = constant;
}

Shape Context::open_shape(const Shape& shape) const {
    Shape open = shape;
    if (batch_ == 0) return open;
    for (std::int64_t& size : open) {
        if (size % batch_ != 0 || size == 0) continue;
        size = -1;
        break;
    }
    return open;
}

Shape Context::for_all_samples(const Shape& shape, const std::function<Shape(const Shape&)>& change) const {
    if (fixed_batch_ == 0 || shape.empty() || shape[0] % batch_ != 0) return change(shape);
    Shape of_file = shape;
    of_file[0] = shape[0] / batch_ * fixed_batch_;
    Shape changed = change(of_file);
    require(!changed.empty() && changed[0] % fixed_batch_ == 0,
            "of {} samples, shape {}, it makes {}, whose first dimension does not hold the samples",
            fixed_batch_, to_string(of_file), to_string(changed));
    changed[0] = changed[0] / fixed_batch_ * batch_;
    return changed;
}

ValueId Context::output(const Value& value) {
    const OnnxNode end{.name = "output", .type = "", .inputs = {}, .outputs = {}, .attributes = {}};
    // As the file has it, where the batch is the file's own.
    if (batch_ == 0 && model_->outputs.size() == 1) return plain(end, value);
    const std::int64_t samples = batch_ > 0 ? batch_ : model_->samples();
    const auto found = std::ranges::find(value.shape, samples);
    std::vector<int> places = in_order(value.rank());
    if (found != value.shape.end()) {
        const auto dimension = found - value.shape.begin();
        // That one comes first, the others as they were.
        for (std::ptrdiff_t d = 0; d <= dimension; ++d)
            places[static_cast<std::size_t>(d)] = d < dimension ? static_cast<int>(d) + 1 : 0;
    }
    const ValueId id = in_places(end, value, places);
    if (model_->outputs.size() == 1 || found != value.shape.end()) return id;
    Shape shape = value.shape;
    if (shape.empty() && samples == 1) shape.push_back(1);
    require(!shape.empty() && shape[0] % samples == 0,
            "the output '{}' of shape {} has no dimension of samples; choose others (model.outputs)",
            value.name, to_string(value.shape));
    shape[0] /= samples;
    shape.insert(shape.begin(), -1);
    return add(end.name, make_reshape(std::move(shape)), {id}, {});
}

LoweredOnnx Context::finish() {
    for (const std::string& name : model_->outputs) {
        const Value& value = values_.at(name);
        const bool is_input = std::ranges::any_of(model_->inputs, [&](const OnnxInput& input) {
            const Value& given = values_.at(input.name);
            return given.id == value.id && given.places == value.places;
        });
        if (value.constant || is_input) continue;
        if (const ValueId id = output(value); id > 0) result_.outputs.push_back({name, id});
    }
    if (result_.outputs.empty()) {
        const Value& only = values_.at(model_->outputs.front());
        fail("the output '{}' is {}", only.name,
             only.constant ? "a constant: it does not depend on the model's input" : "the input as it is");
    }
    if (result_.outputs.size() == 1) result_.graph.set_head(result_.outputs.front().value, -1);
    return std::move(result_);
}

}  // namespace jlcm::onnx_rules
