#include "core/text/sentencepiece_model.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>

namespace jlcm {

namespace {

/// Writes a protocol buffer message field by field (protobuf.dev, "Encoding").
class Message {
  public:
    void add_integer(unsigned field, std::int64_t value) {
        append_key(field, 0);
        append_varint(static_cast<std::uint64_t>(value));
    }
    void add_float(unsigned field, float value) {
        append_key(field, 5);
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (unsigned shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>((bits >> shift) & 0xFFU);
    }
    void add_bytes(unsigned field, std::string_view value) {
        append_key(field, 2);
        append_varint(value.size());
        bytes_ += value;
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

  private:
    void append_key(unsigned field, unsigned wire_type) { append_varint((field << 3U) | wire_type); }
    void append_varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>((value & 0x7FU) | 0x80U);
        bytes_ += static_cast<char>(value);
    }
    std::string bytes_;
};

constexpr int byte_pair_model = 2;
constexpr int byte_piece = 6;

}  // namespace

// Field numbers: sentencepiece_model.proto.
std::string serialized(const SentencePieceModel& model) {
    Message whole;
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
        Message piece;
        piece.add_bytes(1, model.pieces[i]);
        piece.add_float(2, model.scores[i]);
        piece.add_integer(3, model.types[i]);
        whole.add_bytes(1, piece.bytes());
    }
    Message trainer;
    trainer.add_integer(3, byte_pair_model);
    trainer.add_integer(4, static_cast<std::int64_t>(model.pieces.size()));
    const bool has_bytes = std::count(model.types.begin(), model.types.end(), byte_piece) > 0;
    trainer.add_integer(35, has_bytes ? 1 : 0);
    trainer.add_integer(40, model.unknown_id);
    trainer.add_integer(41, model.bos_id);
    trainer.add_integer(42, model.eos_id);
    trainer.add_integer(43, model.pad_id);
    // The library looks the special pieces up by their spelling.
    const auto add_spelling = [&](unsigned field, int id) {
        if (id >= 0 && static_cast<std::size_t>(id) < model.pieces.size())
            trainer.add_bytes(field, model.pieces[static_cast<std::size_t>(id)]);
    };
    add_spelling(45, model.unknown_id);
    add_spelling(46, model.bos_id);
    add_spelling(47, model.eos_id);
    add_spelling(48, model.pad_id);
    whole.add_bytes(2, trainer.bytes());

    Message normalizer;
    normalizer.add_bytes(2, model.precompiled_charsmap);
    normalizer.add_integer(3, model.add_dummy_prefix ? 1 : 0);
    normalizer.add_integer(4, model.remove_extra_whitespaces ? 1 : 0);
    normalizer.add_integer(5, 1);
    whole.add_bytes(3, normalizer.bytes());
    return whole.bytes();
}

}  // namespace jlcm
