#pragma once
// Operators that work on data more than with weights: comparisons, selections, levels. Structs are what the operators'
// attributes are made of.

#include "core/base/json.hpp"
#include "core/graph/operator.hpp"

namespace jlcm {

/// Functions of one value, element by element, that no layer of weights spends its time in. Steps pass no
/// gradient; truth is 0 or 1.
enum class Pointwise : std::uint8_t {
    sine,
    cosine,
    floor,
    ceiling,
    round,  ///< half to even
    truncate,
    sign,
    is_nan,
    is_infinite,
    is_zero,
};
[[nodiscard]] OperatorPtr make_pointwise(Pointwise function);
/// By its kind; null where that is another operator's.
[[nodiscard]] OperatorPtr make_pointwise(std::string_view kind);

/// Of two inputs that broadcast: 1 where it holds, else 0.
enum class Comparison : std::uint8_t { equal, less, less_or_equal, conjunction, disjunction, exclusive };
[[nodiscard]] OperatorPtr make_comparison(Comparison function);
[[nodiscard]] OperatorPtr make_comparison(std::string_view kind);

/// Inputs: a condition, and two values of which the first is taken where it is not 0. They broadcast.
[[nodiscard]] OperatorPtr make_where();

/// Inputs x, scale, zero point: the level round(x / scale) + zero point, half to even, no lower than `low` and no
/// higher than `high`. ONNX QuantizeLinear.
struct QuantizeAttributes {
    double low = 0;
    double high = 255;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(QuantizeAttributes, low, high)
[[nodiscard]] OperatorPtr make_quantize(QuantizeAttributes attributes);

/// Sums over the last dimension up to each element; without it where `exclusive`, from the end where `reverse`.
struct CumulativeSumAttributes {
    bool exclusive = false;
    bool reverse = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CumulativeSumAttributes, exclusive, reverse)
[[nodiscard]] OperatorPtr make_cumulative_sum(CumulativeSumAttributes attributes);

/// Inputs: a table and indices of any shape, which take the place of the table's `dimension`. Indices are whole
/// numbers, int32 or floating-point; those below 0 count from the end.
[[nodiscard]] OperatorPtr make_gather(int dimension);
/// Inputs: values, and indices along `dimension` for each element of the output. numpy's take_along_axis.
[[nodiscard]] OperatorPtr make_gather_elements(int dimension);

/// The `count` largest (or smallest) elements of each row (the last dimension), sorted, or their indices.
struct TopKAttributes {
    std::int64_t count = 1;
    bool largest = true;
    bool indices = false;
    bool last_of_equals = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TopKAttributes, count, largest, indices, last_of_equals)
[[nodiscard]] OperatorPtr make_top_k(TopKAttributes attributes);

}  // namespace jlcm
