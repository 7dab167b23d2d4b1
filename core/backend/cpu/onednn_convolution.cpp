#include "core/backend/cpu/onednn_convolution.hpp"

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

/// Work of a tile, in multiply-adds, that is worth a call.
constexpr std::int64_t tile_work = 1 << 22;

/// What one call computes: some whole images, or some lines of one.
struct Tile {
    std::int64_t images = 0;
    std::int64_t in_lines = 0;
    std::int64_t out_lines = 0;
    std::int64_t pad_above = 0;
    std::int64_t pad_below = 0;
    auto operator<=>(const Tile&) const = default;
};

struct Task {
    Tile tile;
    std::int64_t x = 0;  ///< elements before it
    std::int64_t y = 0;
};

std::vector<Task> cut(const Convolution& shape) {
    const Windows& w = shape.windows;
    const std::int64_t work = w.out_pixels() * shape.outputs * shape.columns();
    const std::int64_t in_line = w.size[1] * w.channels;
    const std::int64_t out_line = w.out_size[1] * shape.outputs;
    const std::int64_t at_once = std::clamp<std::int64_t>(tile_work / std::max<std::int64_t>(work, 1), 1, 8);
    const std::int64_t bands =
        std::clamp<std::int64_t>(work / tile_work, 1, std::min<std::int64_t>(4, w.out_size[0]));
    const std::int64_t lines = (w.out_size[0] + bands - 1) / bands;
    std::vector<Task> tasks;
    for (std::int64_t image = 0; image < w.images; image += at_once) {
        for (std::int64_t first = 0; first < w.out_size[0]; first += lines) {
            const std::int64_t end = std::min(first + lines, w.out_size[0]);
            const std::int64_t begin_in = w.at(0, first, 0);
            const std::int64_t end_in = w.at(0, end - 1, w.kernel[0] - 1) + 1;
            const std::int64_t from = std::clamp<std::int64_t>(begin_in, 0, w.size[0]);
            const std::int64_t to = std::clamp<std::int64_t>(end_in, from, w.size[0]);
            Task task;
            task.tile = {std::min(at_once, w.images - image), to - from, end - first, from - begin_in,
                         end_in - to};
            // Whole images keep lines that no window reads, so that one follows the other.
            if (bands == 1)
                task.tile = {task.tile.images, w.size[0], end, w.pad[0],
                             std::max<std::int64_t>(end_in - w.size[0], 0)};
            task.x = (image * w.size[0] + (bands == 1 ? 0 : from)) * in_line;
            task.y = (image * w.out_size[0] + first) * out_line;
            tasks.push_back(task);
        }
    }
    return tasks;
}

struct Key {
    Tile tile;
    std::array<std::int64_t, 12> numbers{};
    bool has_bias = false;
    bool is_bfloat16 = false;
    auto operator<=>(const Key&) const = default;
};

struct Primitive {
    bool is_fast = false;
    dnnl::convolution_forward::primitive_desc description;
    dnnl::convolution_forward primitive;
};

memory::desc weight_layout(const Convolution& shape, memory::data_type type, memory::format_tag tag) {
    const Windows& w = shape.windows;
    memory::dims sizes{shape.group_outputs(), shape.group_channels(), w.kernel[0], w.kernel[1]};
    if (shape.groups > 1) sizes.insert(sizes.begin(), shape.groups);
    return {sizes, type, tag};
}

Primitive make_primitive(const Convolution& shape, const Tile& tile, bool has_bias, memory::data_type type) {
    const Windows& w = shape.windows;
    const memory::desc x({tile.images, w.channels, tile.in_lines, w.size[1]}, type, memory::format_tag::nhwc);
    const memory::desc y({tile.images, shape.outputs, tile.out_lines, w.out_size[1]}, memory::data_type::f32,
                         memory::format_tag::nhwc);
    const memory::desc bias({shape.outputs}, memory::data_type::f32, memory::format_tag::a);
    const std::int64_t extent = (w.kernel[1] - 1) * w.dilation[1] + 1;
    const std::int64_t right =
        std::max<std::int64_t>((w.out_size[1] - 1) * w.stride[1] + extent - w.size[1] - w.pad[1], 0);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::convolution_forward::desc operation(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, x,
        weight_layout(shape, type, memory::format_tag::any), has_bias ? bias : memory::desc(), y,
        {w.stride[0], w.stride[1]}, {w.dilation[0] - 1, w.dilation[1] - 1}, {tile.pad_above, w.pad[1]},
        {tile.pad_below, right});
    Primitive result;
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
                   w.dilation[0], w.dilation[1], w.pad[1], shape.outputs, shape.groups},
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

/// The weight as the primitives want it.
class PackedWeights {
  public:
    PackedWeights(const memory::desc& plain, const void* data) : plain_(view(plain, data)) {}
    const memory& in(const memory::desc& layout) {
        for (const memory& each : packed_)
            if (each.get_desc() == layout) return each;
        memory packed(layout, onednn_engine());
        dnnl::stream stream(onednn_engine());
        dnnl::reorder(plain_, packed).execute(stream, plain_, packed);
        stream.wait();
        return packed_.emplace_back(std::move(packed));
    }

  private:
    memory plain_;
    std::vector<memory> packed_;
};

}  // namespace

std::optional<Tensor> onednn_convolution(const Convolution& shape, const Tensor& x, const Tensor& weight,
                                         const Tensor* bias) {
    const Windows& w = shape.windows;
    Tensor y = Tensor::empty({w.images, w.out_size[0], w.out_size[1], shape.outputs});
    if (y.size() == 0 || weight.size() == 0) return std::nullopt;
    use_one_openmp_thread();
    const auto type = x.dtype() == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const std::vector<Task> tasks = cut(shape);
    PackedWeights weights(
        weight_layout(shape, type, shape.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw),
        weight.bytes().data());
    struct Ready {
        const Primitive* primitive;
        memory weight;
    };
    std::map<Tile, Ready> ready;
    for (const Task& task : tasks) {
        if (ready.contains(task.tile)) continue;
        const Primitive& primitive = primitive_of(shape, task.tile, bias != nullptr, type);
        if (!primitive.is_fast) return std::nullopt;
        ready.emplace(task.tile, Ready{&primitive, weights.in(primitive.description.weights_desc())});
    }
    const std::size_t element = size_of(x.dtype());
    parallel_for(std::ssize(tasks), 1, [&](std::int64_t i, std::int64_t) {
        use_one_openmp_thread();
        thread_local dnnl::stream stream(onednn_engine());
        thread_local Tensor scratch;
        const Task& task = tasks[static_cast<std::size_t>(i)];
        const auto& [primitive, packed] = ready.at(task.tile);
        const auto& description = primitive->description;
        const auto bytes = static_cast<std::int64_t>(description.scratchpad_desc().get_size());
        if (!scratch.defined() || scratch.size() < bytes)
            scratch = Tensor::empty({std::max<std::int64_t>(bytes, 1)}, DType::u8);
        std::unordered_map<int, memory> arguments{
            {DNNL_ARG_SRC,
             view(description.src_desc(), x.bytes().data() + static_cast<std::size_t>(task.x) * element)},
            {DNNL_ARG_WEIGHTS, packed},
            {DNNL_ARG_DST, view(description.dst_desc(), y.data<float>() + task.y)},
            {DNNL_ARG_SCRATCHPAD, view(description.scratchpad_desc(), scratch.bytes().data())}};
        if (bias != nullptr)
            arguments.emplace(DNNL_ARG_BIAS, view(description.bias_desc(), bias->bytes().data()));
        primitive->primitive.execute(stream, arguments);
        stream.wait();
    });
    return y;
}

}  // namespace jlcm::cpu
