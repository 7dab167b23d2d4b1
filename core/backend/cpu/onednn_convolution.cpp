#include "core/backend/cpu/onednn_convolution.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/onednn.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>

namespace jlcm::cpu {
namespace {

using dnnl::memory;

/// Work that is worth a call, in multiply-adds.
constexpr std::int64_t call_work = 1 << 22;

/// What one call computes: some whole images, some lines of one, or some outputs of one.
struct Tile {
    std::int64_t images = 0;
    std::int64_t in_lines = 0;
    std::int64_t out_lines = 0;
    std::int64_t pad_above = 0;
    std::int64_t pad_below = 0;
    std::int64_t outputs = 0;
    auto operator<=>(const Tile&) const = default;
};

struct Task {
    Tile tile;
    std::int64_t x = 0;             ///< elements before it
    std::int64_t y = 0;             ///< pixels before it
    std::int64_t first_output = 0;  ///< not 0 only where there is one group
};

/// The cut depends on the problem alone, so that results are the same bytes at any number of threads.
std::vector<Task> cut(const Convolution& shape) {
    const Windows& w = shape.windows;
    const std::int64_t work = std::max<std::int64_t>(w.out_pixels() * shape.outputs * shape.columns(), 1);
    const std::int64_t in_line = w.size[1] * w.channels;
    const Tile whole{1,
                     w.size[0],
                     w.out_size[0],
                     w.pad[0],
                     std::max<std::int64_t>(w.at(0, w.out_size[0] - 1, w.kernel[0] - 1) + 1 - w.size[0], 0),
                     shape.outputs};
    std::vector<Task> tasks;
    // Depthwise convolutions are bound by memory: a multiply-add takes as long as several of the others'.
    const std::int64_t effort = shape.is_depthwise() ? 6 * work : work;
    const std::int64_t parts = effort >= 12 * call_work ? 4 : (effort >= 3 * call_work ? 2 : 1);
    const bool weighs_most =
        shape.outputs * shape.columns() > w.in_pixels() * w.channels + w.out_pixels() * shape.outputs;
    if (w.images == 1 && parts > 1 && shape.groups == 1 && weighs_most) {
        constexpr std::int64_t lanes = 16;
        const std::int64_t step = ((shape.outputs + parts - 1) / parts + lanes - 1) / lanes * lanes;
        for (std::int64_t first = 0; first < shape.outputs; first += step) {
            Tile tile = whole;
            tile.outputs = std::min(step, shape.outputs - first);
            tasks.push_back({.tile = tile, .x = 0, .y = 0, .first_output = first});
        }
        return tasks;
    }
    const std::int64_t at_once = std::clamp<std::int64_t>(call_work / work, 1, 8);
    const std::int64_t lines = (w.out_size[0] + parts - 1) / parts;
    for (std::int64_t image = 0; image < w.images; image += at_once) {
        for (std::int64_t first = 0; first < w.out_size[0]; first += lines) {
            const std::int64_t end = std::min(first + lines, w.out_size[0]);
            Task task{.tile = whole, .x = 0, .y = image * w.out_pixels() + first * w.out_size[1]};
            std::int64_t from = 0;
            // Whole images keep lines that no window reads, so that one follows the other.
            if (lines < w.out_size[0]) {
                const std::int64_t begin_in = w.at(0, first, 0);
                const std::int64_t end_in = w.at(0, end - 1, w.kernel[0] - 1) + 1;
                from = std::clamp<std::int64_t>(begin_in, 0, w.size[0]);
                const std::int64_t to = std::clamp<std::int64_t>(end_in, from, w.size[0]);
                task.tile = {1, to - from, end - first, from - begin_in, end_in - to, shape.outputs};
            }
            task.tile.images = std::min(at_once, w.images - image);
            task.x = (image * w.size[0] + from) * in_line;
            tasks.push_back(task);
        }
    }
    return tasks;
}

struct Key {
    Tile tile;
    std::array<std::int64_t, 11> numbers{};
    bool has_bias = false;
    bool is_bfloat16 = false;
    auto operator<=>(const Key&) const = default;
};

struct Primitive {
    bool is_fast = false;
    bool has_bias = false;
    dnnl::convolution_forward::primitive_desc description;
    dnnl::convolution_forward primitive;
};

memory::desc weight_layout(const Convolution& shape, std::int64_t outputs, memory::data_type type,
                           memory::format_tag tag) {
    const Windows& w = shape.windows;
    memory::dims sizes{outputs / shape.groups, shape.group_channels(), w.kernel[0], w.kernel[1]};
    if (shape.groups > 1) sizes.insert(sizes.begin(), shape.groups);
    return {sizes, type, tag};
}

Primitive make_primitive(const Convolution& shape, const Tile& tile, bool has_bias, memory::data_type type) {
    const Windows& w = shape.windows;
    const memory::desc x({tile.images, w.channels, tile.in_lines, w.size[1]}, type, memory::format_tag::nhwc);
    const memory::desc y({tile.images, tile.outputs, tile.out_lines, w.out_size[1]}, memory::data_type::f32,
                         memory::format_tag::nhwc);
    const memory::desc bias({tile.outputs}, memory::data_type::f32, memory::format_tag::a);
    const std::int64_t extent = (w.kernel[1] - 1) * w.dilation[1] + 1;
    const std::int64_t right =
        std::max<std::int64_t>((w.out_size[1] - 1) * w.stride[1] + extent - w.size[1] - w.pad[1], 0);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::convolution_forward::desc operation(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, x,
        weight_layout(shape, tile.outputs, type, memory::format_tag::any), has_bias ? bias : memory::desc(),
        y, {w.stride[0], w.stride[1]}, {w.dilation[0] - 1, w.dilation[1] - 1}, {tile.pad_above, w.pad[1]},
        {tile.pad_below, right});
    Primitive result;
    result.has_bias = has_bias;
    try {
        result.description = {operation, attributes, onednn_engine()};
    } catch (const dnnl::error&) {
        return result;  // there is none of this shape
    }
    result.is_fast =
        std::string_view(result.description.impl_info_str()).find("ref") == std::string_view::npos;
    if (result.is_fast) result.primitive = dnnl::convolution_forward(result.description);
    return result;
}

/// Compiled once for each shape; the map only grows, and its nodes stay where they are.
const Primitive& primitive_of(const Convolution& shape, const Tile& tile, bool has_bias,
                              memory::data_type type) {
    static std::shared_mutex mutex;
    static std::map<Key, Primitive> made;
    const Windows& w = shape.windows;
    const Key key{tile,
                  {w.channels, w.size[1], w.out_size[1], w.kernel[0], w.kernel[1], w.stride[0], w.stride[1],
                   w.dilation[0], w.dilation[1], w.pad[1], shape.groups},
                  has_bias,
                  type == memory::data_type::bf16};
    {
        const std::shared_lock lock(mutex);
        const auto found = made.find(key);
        if (found != made.end()) return found->second;
    }
    Primitive primitive = make_primitive(shape, tile, has_bias, type);
    const std::unique_lock lock(mutex);
    return made.try_emplace(key, std::move(primitive)).first->second;
}

/// oneDNN's memory objects take mutable pointers even for what they only read.
memory view(const memory::desc& layout, const void* data) {
    return {layout, onednn_engine(), const_cast<void*>(data)};  // NOLINT
}

/// A weight as primitives want it.
class PackedWeights {
  public:
    /// The weight's rows first, first + 1, ..., which lie at `data` as `plain` says, in the layout `wanted`.
    memory in(std::int64_t first, const memory::desc& plain, const void* data, const memory::desc& wanted) {
        const std::lock_guard lock(mutex_);
        for (const Packed& each : packed_)
            if (each.first == first && each.weight.get_desc() == wanted) return each.weight;
        memory from = view(plain, data);
        memory packed(wanted, onednn_engine());
        dnnl::stream stream(onednn_engine());
        dnnl::reorder(from, packed).execute(stream, from, packed);
        stream.wait();
        return packed_.emplace_back(first, std::move(packed)).weight;
    }

  private:
    struct Packed {
        std::int64_t first;
        memory weight;
    };
    std::mutex mutex_;
    std::vector<Packed> packed_;
};

/// What follows on rows of `outputs` results at `y` that lie `stride` apart: the residual alike.
struct Rows {
    float* y = nullptr;
    const float* residual = nullptr;
    std::int64_t count = 0;
    std::int64_t outputs = 0;
    std::int64_t stride = 0;
    std::int64_t first_output = 0;
};

/// By our own kernels, since oneDNN's ReLU and clip make 0 of NaN.
void follow(const Epilogue& epilogue, const Rows& rows) {
    const auto& kernels = dense_kernels<float>();
    // Rows without a gap are one; some at a time, so that they are still in cache for the next function.
    constexpr std::int64_t at_once = 4096;
    const bool has_gaps = rows.outputs != rows.stride;
    const std::int64_t step = has_gaps ? 1 : std::max<std::int64_t>(1, at_once / rows.outputs);
    for (std::int64_t r = 0; r < rows.count; r += step) {
        const std::int64_t some = std::min(step, rows.count - r);
        float* y = rows.y + r * rows.stride;
        if (epilogue.scale.defined())
            for (std::int64_t i = 0; i < some; ++i)
                kernels.scale_and_shift(
                    rows.outputs, y + i * rows.stride, epilogue.scale.data<float>() + rows.first_output,
                    epilogue.shift.data<float>() + rows.first_output, y + i * rows.stride);
        if (rows.residual != nullptr)
            kernels.add_scaled(some * rows.outputs, rows.residual + r * rows.stride, 1.0F, y);
        if (const auto& function = epilogue.function)
            kernels.unary(static_cast<int>(function->kind), static_cast<float>(function->a),
                          static_cast<float>(function->b), some * rows.outputs, y, y);
    }
}

float* scratch_of(std::int64_t elements) {
    thread_local Tensor kept;
    if (!kept.defined() || kept.size() < elements) kept = Tensor::empty({elements});
    return kept.data<float>();
}

/// A primitive with its arguments made: small networks make many calls.
class PreparedCall {
  public:
    explicit PreparedCall(const Primitive& made)
        : primitive_(made.primitive),
          x_(made.description.src_desc(), onednn_engine(), DNNL_MEMORY_NONE),
          y_(made.description.dst_desc(), onednn_engine(), DNNL_MEMORY_NONE),
          scratch_(made.description.scratchpad_desc(), onednn_engine()),
          arguments_{{DNNL_ARG_SRC, x_},
                     {DNNL_ARG_WEIGHTS, memory()},
                     {DNNL_ARG_DST, y_},
                     {DNNL_ARG_SCRATCHPAD, scratch_}} {
        if (made.has_bias) {
            bias_ = memory(made.description.bias_desc(), onednn_engine(), DNNL_MEMORY_NONE);
            arguments_.emplace(DNNL_ARG_BIAS, bias_);
        }
    }

    void run(dnnl::stream& stream, const void* x, const memory& weight, const void* bias, float* y) {
        // oneDNN's memory objects take mutable pointers even for what they only read.
        x_.set_data_handle(const_cast<void*>(x));                             // NOLINT
        if (bias != nullptr) bias_.set_data_handle(const_cast<void*>(bias));  // NOLINT
        y_.set_data_handle(y);
        arguments_.at(DNNL_ARG_WEIGHTS) = weight;
        cpu::run(primitive_, stream, arguments_);
    }

  private:
    dnnl::convolution_forward primitive_;
    memory x_, y_, scratch_;
    memory bias_;  ///< empty where there is none
    std::unordered_map<int, memory> arguments_;
};

/// This thread's.
PreparedCall& prepared_call(const Primitive& primitive) {
    thread_local std::unordered_map<const Primitive*, PreparedCall> prepared;
    return prepared.try_emplace(&primitive, primitive).first->second;
}

}  // namespace

std::optional<Tensor> onednn_convolution(const Convolution& shape, const Tensor& x, const Tensor& weight,
                                         const Tensor* bias, const Epilogue& epilogue,
                                         PreparedWeight* prepared) {
    const Windows& w = shape.windows;
    Tensor y = Tensor::empty({w.images, w.out_size[0], w.out_size[1], shape.outputs});
    if (y.size() == 0 || weight.size() == 0) return std::nullopt;
    use_one_openmp_thread();
    const auto type = x.dtype() == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const std::vector<Task> tasks = cut(shape);
    PackedWeights for_this_call;
    PackedWeights& packed = prepared != nullptr ? prepared->get<PackedWeights>() : for_this_call;
    const std::size_t element = size_of(x.dtype());
    struct Ready {
        const Primitive* primitive;
        memory weight;
    };
    std::vector<Ready> ready;
    for (const Task& task : tasks) {
        const Primitive& primitive = primitive_of(shape, task.tile, bias != nullptr, type);
        if (!primitive.is_fast) return std::nullopt;
        const auto plain =
            weight_layout(shape, task.tile.outputs, type,
                          shape.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw);
        const auto before = static_cast<std::size_t>(task.first_output * shape.columns()) * element;
        ready.push_back({&primitive, packed.in(task.first_output, plain, weight.bytes().data() + before,
                                               primitive.description.weights_desc())});
    }
    parallel_for(std::ssize(tasks), 1, [&](std::int64_t i, std::int64_t) {
        use_one_openmp_thread();
        thread_local dnnl::stream stream(onednn_engine());
        const Task& task = tasks[static_cast<std::size_t>(i)];
        const auto& [primitive, packed_weight] = ready[static_cast<std::size_t>(i)];
        const std::int64_t pixels = task.tile.images * task.tile.out_lines * w.out_size[1];
        const std::int64_t place = task.y * shape.outputs + task.first_output;
        const bool has_gaps = task.tile.outputs != shape.outputs;
        float* out = has_gaps ? scratch_of(pixels * task.tile.outputs) : y.data<float>() + place;
        prepared_call(*primitive)
            .run(stream, x.bytes().data() + static_cast<std::size_t>(task.x) * element, packed_weight,
                 bias != nullptr ? bias->data<float>() + task.first_output : nullptr, out);
        if (has_gaps)
            for (std::int64_t r = 0; r < pixels; ++r)
                std::copy_n(out + r * task.tile.outputs, task.tile.outputs,
                            y.data<float>() + place + r * shape.outputs);
        follow(epilogue,
               {.y = y.data<float>() + place,
                .residual = epilogue.residual.defined() ? epilogue.residual.data<float>() + place : nullptr,
                .count = pixels,
                .outputs = task.tile.outputs,
                .stride = shape.outputs,
                .first_output = task.first_output});
    });
    return y;
}

}  // namespace jlcm::cpu
