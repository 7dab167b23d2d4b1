#include "core/codebook/onnx_decoder.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace jlcm {
namespace {

/// Nodes one after the other, each of a value that the next ones read.
class Chain {
  public:
    explicit Chain(std::string name) : name_(std::move(name)) {}

    std::string node(std::string type, std::vector<std::string> inputs,
                     std::map<std::string, std::int64_t> integers = {},
                     std::map<std::string, std::string> texts = {},
                     std::map<std::string, std::vector<std::int64_t>> lists = {}) {
        write_last();
        last_ = {std::move(type),     std::move(inputs), next_name(),
                 std::move(integers), std::move(texts),  std::move(lists)};
        return last_.output;
    }
    template <class T>
    std::string constant(OnnxType type, const Shape& shape, const std::vector<T>& values) {
        std::string output = next_name();
        std::string bytes(values.size() * sizeof(T), '\0');
        std::memcpy(bytes.data(), values.data(), bytes.size());
        messages_.push_back(onnx_constant(output, type, shape, bytes));
        return output;
    }
    /// Whole numbers from 0 on in as few bytes as hold them, as int32.
    std::string numbers(const Shape& shape, const std::vector<std::int64_t>& values) {
        const std::int64_t most = values.empty() ? 0 : *std::ranges::max_element(values);
        const auto as = [&]<class T>(T) { return std::vector<T>(values.begin(), values.end()); };
        if (most > 65535) return constant(OnnxType::int32, shape, as(std::int32_t{}));
        const std::string small = most > 255 ? constant(OnnxType::uint16, shape, as(std::uint16_t{}))
                                             : constant(OnnxType::uint8, shape, as(std::uint8_t{}));
        return cast(small, OnnxType::int32);
    }
    std::string number(std::int32_t value) {
        return constant(OnnxType::int32, {1}, std::vector<std::int32_t>{value});
    }
    /// Numbers that float16 holds, as float32.
    std::string halves(const Shape& shape, std::span<const float> values) {
        const std::string output = next_name();
        messages_.push_back(
            onnx_constant(output, OnnxType::float16, shape, onnx_elements(values, OnnxType::float16, name_)));
        return cast(output, OnnxType::float32);
    }
    std::string cast(const std::string& value, OnnxType type) {
        return node("Cast", {value}, {{"to", static_cast<std::int64_t>(type)}});
    }
    std::string reshape(const std::string& value, const Shape& shape) {
        return node("Reshape", {value, constant(OnnxType::int64, {std::ssize(shape)}, shape)});
    }
    /// All nodes; the last one makes `output`.
    std::vector<std::string> finish(const std::string& output) {
        last_.output = output;
        write_last();
        return std::move(messages_);
    }

  private:
    std::string next_name() { return fmt::format("{}/jlcm/{}", name_, next_++); }
    void write_last() {
        if (!last_.type.empty()) messages_.push_back(last_.message());
        last_ = {};
    }

    std::string name_;
    int next_ = 0;
    OnnxNewNode last_;  ///< may still get another name
    std::vector<std::string> messages_;
};

/// Widths of the parts that a code of `bits` bits is packed in, the lowest bits first: powers of two, which no code
/// straddles a byte by.
std::vector<int> planes(int bits) {
    std::vector<int> widths;
    for (const int width : {8, 4, 2, 1})
        if ((bits & width) != 0) widths.push_back(width);
    return widths;
}

class Decoder {
  public:
    Decoder(const CompressedMatrix& matrix, std::string name, std::int64_t opset)
        : matrix_(matrix), layout_(matrix.layout), opset_(opset), chain_(std::move(name)) {}

    std::vector<std::string> run(const OnnxOrigin& origin, const std::string& output, OnnxType type) {
        std::string weights = sum_of_stages();
        if (matrix_.scales.defined()) weights = chain_.node("Mul", {weights, of_groups(matrix_.scales)});
        if (matrix_.offsets.defined()) weights = chain_.node("Add", {weights, of_groups(matrix_.offsets)});
        weights = chain_.reshape(weights, {layout_.rows, layout_.cols});
        if (!matrix_.outliers.empty()) weights = chain_.node("Add", {weights, outliers()});
        if (!matrix_.row_order.empty())
            weights = chain_.node("Gather", {weights, model_order()}, {{"axis", 0}});
        // From the parameter's arrangement to the file's.
        const OnnxArrangement& arrangement = origin.arrangement;
        if (!arrangement.places.empty()) {
            Shape moved(arrangement.shape.size());
            std::vector<std::int64_t> order;
            for (std::size_t d = 0; d < moved.size(); ++d) {
                moved[static_cast<std::size_t>(arrangement.places[d])] = arrangement.shape[d];
                order.push_back(arrangement.places[d]);
            }
            weights = chain_.reshape(weights, moved);
            weights = chain_.node("Transpose", {weights}, {}, {}, {{"perm", order}});
        }
        if (arrangement.factor != 1)
            weights = chain_.node(
                "Mul",
                {weights, chain_.constant(OnnxType::float32, {1},
                                          std::vector<float>{static_cast<float>(1 / arrangement.factor)})});
        weights = chain_.reshape(weights, origin.shape);
        if (type != OnnxType::float32) weights = chain_.cast(weights, type);
        return chain_.finish(output);
    }

  private:
    /// Codes of a stage as int32 [rows, codes of a row].
    std::string codes(int stage) {
        const std::int64_t count = layout_.rows * layout_.codes_per_row();
        const auto all = matrix_.mapping.values<std::uint8_t>().subspan(
            static_cast<std::size_t>(stage * count), static_cast<std::size_t>(count));
        std::string sum;
        int shift = 0;
        for (const int width : planes(layout_.bits)) {
            std::string plane = unpacked(all, shift, width);
            if (shift > 0) plane = chain_.node("Mul", {plane, chain_.number(1 << shift)});
            sum = sum.empty() ? plane : chain_.node("Add", {sum, plane});
            shift += width;
        }
        return chain_.reshape(sum, {layout_.rows, layout_.codes_per_row()});
    }

    /// `width` bits of each code from `shift` on, int32 [codes]: 8 / width codes a byte, the first in the lowest
    /// bits; those that fill no byte lie in one each behind.
    std::string unpacked(std::span<const std::uint8_t> codes, int shift, int width) {
        const std::int64_t each = 8 / width;
        const std::int64_t bytes = std::ssize(codes) / each;
        const auto part = [&](std::int64_t i) {
            return static_cast<std::uint8_t>(codes[static_cast<std::size_t>(i)] >> shift &
                                             ((1 << width) - 1));
        };
        std::vector<std::uint8_t> packed(static_cast<std::size_t>(bytes), 0);
        for (std::int64_t i = 0; i < bytes * each; ++i)
            packed[static_cast<std::size_t>(i / each)] = static_cast<std::uint8_t>(
                packed[static_cast<std::size_t>(i / each)] | part(i) << (i % each * width));
        std::vector<std::uint8_t> rest;
        for (std::int64_t i = bytes * each; i < std::ssize(codes); ++i) rest.push_back(part(i));
        std::string plane;
        if (bytes > 0) plane = chain_.reshape(spread(packed, width), {bytes * each});
        if (rest.empty()) return plane;
        const std::string last =
            chain_.cast(chain_.constant(OnnxType::uint8, {std::ssize(rest)}, rest), OnnxType::int32);
        return plane.empty() ? last : chain_.node("Concat", {plane, last}, {{"axis", 0}});
    }

    /// The codes in each byte, int32 [bytes, codes of a byte].
    std::string spread(const std::vector<std::uint8_t>& packed, int width) {
        const std::int64_t each = 8 / width;
        const std::string bytes = chain_.constant(OnnxType::uint8, {std::ssize(packed), 1}, packed);
        constexpr std::int64_t first_with_shifts = 11;
        if (each == 1) return chain_.cast(bytes, OnnxType::int32);
        if (opset_ >= first_with_shifts) {
            // To the top, which drops those above, and down, which drops those below.
            std::vector<std::uint8_t> up;
            for (int t = 0; t < each; ++t) up.push_back(static_cast<std::uint8_t>(8 - width - t * width));
            const std::string top =
                chain_.node("BitShift", {bytes, chain_.constant(OnnxType::uint8, {1, each}, up)}, {},
                            {{"direction", "LEFT"}});
            const std::vector<std::uint8_t> down{static_cast<std::uint8_t>(8 - width)};
            return chain_.cast(chain_.node("BitShift", {top, chain_.constant(OnnxType::uint8, {1, 1}, down)},
                                           {}, {{"direction", "RIGHT"}}),
                               OnnxType::int32);
        }
        std::vector<std::int32_t> powers;
        for (int t = 0; t < each; ++t) powers.push_back(1 << (t * width));
        const std::string above = chain_.node("Div", {chain_.cast(bytes, OnnxType::int32),
                                                      chain_.constant(OnnxType::int32, {1, each}, powers)});
        const std::string high = chain_.node("Div", {above, chain_.number(1 << width)});
        return chain_.node("Sub", {above, chain_.node("Mul", {high, chain_.number(1 << width)})});
    }

    /// The group of each weight, int32, broadcast to [rows, codes of a row]; empty where there is one.
    std::string groups() {
        if (!groups_.empty() || layout_.groups() == 1) return groups_;
        const std::int64_t columns = layout_.column_groups();
        if (layout_.row_groups > 1) {
            std::vector<std::int64_t> rows;
            for (const std::int32_t group : layout_.row_group_of_rows()) rows.push_back(group);
            groups_ = chain_.numbers({layout_.rows, 1}, rows);
            if (columns > 1)
                groups_ = chain_.node("Mul", {groups_, chain_.number(static_cast<std::int32_t>(columns))});
        }
        if (columns > 1) {
            std::vector<std::int64_t> places;
            for (std::int64_t c = 0; c < layout_.codes_per_row(); ++c)
                places.push_back(c * layout_.dimension / layout_.column_group);
            const std::string along = chain_.numbers({1, layout_.codes_per_row()}, places);
            groups_ = groups_.empty() ? along : chain_.node("Add", {groups_, along});
        }
        return groups_;
    }

    /// [rows, codes of a row, weights of a codeword]
    std::string sum_of_stages() {
        const std::int64_t codewords = layout_.codewords();
        const std::string table =
            chain_.halves({layout_.codebooks() * layout_.residual * codewords, layout_.dimension},
                          matrix_.codebooks.values<float>());
        std::string first;
        if (!layout_.shared_codebook && layout_.groups() > 1)
            first = chain_.node(
                "Mul", {groups(), chain_.number(static_cast<std::int32_t>(layout_.residual * codewords))});
        std::string sum;
        for (int stage = 0; stage < layout_.residual; ++stage) {
            std::string index = codes(stage);
            if (!first.empty()) index = chain_.node("Add", {index, first});
            if (stage > 0)
                index =
                    chain_.node("Add", {index, chain_.number(static_cast<std::int32_t>(stage * codewords))});
            const std::string values = chain_.node("Gather", {table, index}, {{"axis", 0}});
            sum = sum.empty() ? values : chain_.node("Add", {sum, values});
        }
        return sum;
    }

    /// A number for each group, broadcast to [rows, codes of a row, 1].
    std::string of_groups(const Tensor& numbers) {
        std::string all = chain_.halves({numbers.size()}, numbers.values<float>());
        const std::string group = groups();
        if (group.empty()) return all;
        const std::string spread = chain_.node("Gather", {all, group}, {{"axis", 0}});
        return chain_.reshape(spread, {layout_.row_groups > 1 ? layout_.rows : 1,
                                       layout_.column_groups() > 1 ? layout_.codes_per_row() : 1, 1});
    }

    /// Zeros but where there are outliers, [rows, cols].
    std::string outliers() {
        require(opset_ >= 9, "outliers want ONNX's Scatter, which opset {} has not; export without --compact",
                opset_);
        std::vector<std::int32_t> places;
        for (std::int64_t row = 0; row < layout_.rows; ++row)
            for (std::int32_t i = matrix_.outliers.row_start[static_cast<std::size_t>(row)];
                 i < matrix_.outliers.row_start[static_cast<std::size_t>(row) + 1]; ++i)
                places.push_back(static_cast<std::int32_t>(
                    row * layout_.cols + matrix_.outliers.column[static_cast<std::size_t>(i)]));
        const std::int64_t count = layout_.rows * layout_.cols;
        require(count < std::int64_t{1} << 31, "a matrix of {} weights is too large for outliers in ONNX",
                count);
        const std::string zeros = chain_.node(
            "ConstantOfShape", {chain_.constant(OnnxType::int64, {1}, std::vector<std::int64_t>{count})});
        const std::string index = chain_.constant(OnnxType::int32, {std::ssize(places)}, places);
        const std::string values = chain_.halves({std::ssize(places)}, matrix_.outliers.value);
        const std::string all =
            chain_.node(opset_ >= 11 ? "ScatterElements" : "Scatter", {zeros, index, values}, {{"axis", 0}});
        return chain_.reshape(all, {layout_.rows, layout_.cols});
    }

    /// The stored row of each row of the model.
    std::string model_order() {
        std::vector<std::int64_t> stored(static_cast<std::size_t>(layout_.rows));
        for (std::int64_t row = 0; row < layout_.rows; ++row)
            stored[static_cast<std::size_t>(matrix_.model_row(row))] = row;
        return chain_.numbers({layout_.rows}, stored);
    }

    const CompressedMatrix& matrix_;
    const Layout& layout_;
    std::int64_t opset_;
    Chain chain_;
    std::string groups_;
};

}  // namespace

std::vector<std::string> onnx_decoder(const CompressedMatrix& matrix, const OnnxOrigin& origin,
                                      const std::string& output, OnnxType type, std::int64_t opset) {
    return Decoder(matrix, output, opset).run(origin, output, type);
}

}  // namespace jlcm
