#include "core/backend/cpu/copy_strided.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm::cpu {
namespace {

constexpr std::int64_t elements_per_chunk = 1 << 14;

struct Dimension {
    std::int64_t extent = 1;
    std::int64_t from = 0;
    std::int64_t to = 0;
};

/// The dimensions, outermost first, without those of one element; neighbours that run on in both views are
/// joined.
std::vector<Dimension> joined(const Shape& extents, const Strides& from, const Strides& to) {
    std::vector<Dimension> result;
    for (std::size_t d = 0; d < extents.size(); ++d) {
        const Dimension each{extents[d], from.steps[d], to.steps[d]};
        if (each.extent == 1) continue;
        if (!result.empty() && result.back().from == each.extent * each.from &&
            result.back().to == each.extent * each.to) {
            result.back() = {result.back().extent * each.extent, each.from, each.to};
        } else {
            result.push_back(each);
        }
    }
    return result;
}

template <class T>
class Copy {
  public:
    Copy(std::vector<Dimension> dimensions, const T* from, T* to, bool accumulate)
        : dimensions_(std::move(dimensions)), from_(from), to_(to), accumulate_(accumulate) {}

    void run() {
        if (dimensions_.empty()) dimensions_.push_back({});
        // Chunks are of a dimension along which no two elements have one place.
        const auto outer = std::find_if(dimensions_.begin(), dimensions_.end(),
                                        [](const Dimension& d) { return d.to != 0; });
        if (outer == dimensions_.end()) return copy(0, from_, to_);
        std::rotate(dimensions_.begin(), outer, outer + 1);
        const Dimension first = dimensions_.front();
        std::int64_t inner = 1;
        for (std::size_t d = 1; d < dimensions_.size(); ++d) inner *= dimensions_[d].extent;
        const std::int64_t grain = std::max<std::int64_t>(1, elements_per_chunk / inner);
        parallel_for(first.extent, grain, [&](std::int64_t begin, std::int64_t end) {
            if (dimensions_.size() == 1)
                return line(end - begin, from_ + begin * first.from, first.from, to_ + begin * first.to,
                            first.to);
            for (std::int64_t i = begin; i < end; ++i) copy(1, from_ + i * first.from, to_ + i * first.to);
        });
    }

  private:
    void copy(std::size_t level, const T* from, T* to) const {
        const Dimension& d = dimensions_[level];
        if (level + 2 == dimensions_.size() && !accumulate_ && is_colours(d, dimensions_[level + 1]))
            return interleave(d.extent, from, dimensions_[level + 1].from, to);
        if (level + 1 == dimensions_.size()) return line(d.extent, from, d.from, to, d.to);
        for (std::int64_t i = 0; i < d.extent; ++i) copy(level + 1, from + i * d.from, to + i * d.to);
    }
    /// Three planes that become the channels of pixels: what images are, and their channels last.
    static bool is_colours(const Dimension& pixels, const Dimension& channels) {
        return channels.extent == 3 && channels.to == 1 && pixels.to == 3 && pixels.from == 1;
    }
    static void interleave(std::int64_t pixels, const T* from, std::int64_t plane, T* to) {
        for (std::int64_t i = 0; i < pixels; ++i)
            for (std::int64_t c = 0; c < 3; ++c) to[3 * i + c] = from[c * plane + i];
    }
    void line(std::int64_t n, const T* from, std::int64_t from_step, T* to, std::int64_t to_step) const {
        if (!accumulate_ && from_step == 1 && to_step == 1) {
            std::copy_n(from, n, to);
        } else if (!accumulate_) {
            for (std::int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
        } else if (from_step == 1 && to_step == 1) {
            for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
        } else {
            for (std::int64_t i = 0; i < n; ++i) to[i * to_step] += from[i * from_step];
        }
    }

    std::vector<Dimension> dimensions_;
    const T* from_;
    T* to_;
    bool accumulate_;
};

}  // namespace

void copy_strided(const Shape& extents, const Tensor& from, const Strides& from_strides, Tensor& to,
                  const Strides& to_strides, bool accumulate) {
    ensure(from.dtype() == to.dtype() && extents.size() == from_strides.steps.size() &&
               extents.size() == to_strides.steps.size(),
           "a copy from {} {} to {} {}", name_of(from.dtype()), shown(from.shape()), name_of(to.dtype()),
           shown(to.shape()));
    if (element_count(extents) == 0) return;
    const auto copy = [&](auto zero) {
        using T = decltype(zero);
        Copy<T>(joined(extents, from_strides, to_strides), from.data<T>() + from_strides.offset,
                to.data<T>() + to_strides.offset, accumulate)
            .run();
    };
    if (from.dtype() == DType::f64) return copy(double{});
    if (from.dtype() == DType::i32) return copy(std::int32_t{});
    if (from.dtype() == DType::bf16) {
        ensure(!accumulate, "bfloat16 numbers are not added up");
        return copy(std::uint16_t{});
    }
    copy(float{});
}

}  // namespace jlcm::cpu
