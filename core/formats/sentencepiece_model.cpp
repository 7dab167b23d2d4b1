#include "core/formats/sentencepiece_model.hpp"

#include "core/base/error.hpp"

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

/// Reads a message field by field.
class Fields {
  public:
    explicit Fields(std::string_view message) : rest_(message) {}

    /// Goes to the next field; false at the end.
    bool next() {
        if (rest_.empty()) return false;
        const std::uint64_t key = varint();
        number = key >> 3U;
        value = 0;
        bytes = {};
        switch (key & 7U) {
            case 0:
                value = varint();
                break;
            case 1:
                bytes = take(8);
                break;
            case 2:
                bytes = take(varint());
                break;
            case 5:
                bytes = take(4);
                break;
            default:
                fail("the SentencePiece model is damaged: a field of wire type {}", key & 7U);
        }
        return true;
    }
    [[nodiscard]] int integer() const { return static_cast<int>(static_cast<std::int64_t>(value)); }
    [[nodiscard]] float real() const {
        require(bytes.size() == sizeof(float), "the SentencePiece model is damaged: a score of {} bytes",
                bytes.size());
        std::uint32_t bits = 0;
        for (unsigned i = 0; i < 4; ++i)
            bits |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        return std::bit_cast<float>(bits);
    }

    std::uint64_t number = 0;  ///< of the field
    std::uint64_t value = 0;
    std::string_view bytes;

  private:
    std::string_view take(std::uint64_t size) {
        require(size <= rest_.size(), "the SentencePiece model is damaged: it ends within a field");
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::uint64_t varint() {
        std::uint64_t result = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1).front());
            result |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
            if (byte < 0x80) return result;
        }
        fail("the SentencePiece model is damaged: an integer of more than ten bytes");
    }
    std::string_view rest_;
};

constexpr int unigram_model = 1;
constexpr int byte_pair_model = 2;
constexpr int byte_piece = 6;

void add_piece(std::string_view message, SentencePieceModel& model) {
    std::string& text = model.pieces.emplace_back();
    float& score = model.scores.emplace_back(0.0F);
    int& type = model.types.emplace_back(1);
    for (Fields field(message); field.next();) {
        if (field.number == 1) text = field.bytes;
        if (field.number == 2) score = field.real();
        if (field.number == 3) type = field.integer();
    }
}

void read_trainer(std::string_view message, SentencePieceModel& model) {
    for (Fields field(message); field.next();) {
        if (field.number == 3) model.is_byte_pair = field.integer() == byte_pair_model;
        if (field.number == 3) model.is_unigram = field.integer() == unigram_model;
        if (field.number == 24) model.white_space_as_suffix = field.value != 0;
        if (field.number == 40) model.unknown_id = field.integer();
        if (field.number == 41) model.bos_id = field.integer();
        if (field.number == 42) model.eos_id = field.integer();
        if (field.number == 43) model.pad_id = field.integer();
        if (field.number == 45) model.unknown_piece = field.bytes;
    }
}

void read_normalizer(std::string_view message, SentencePieceModel& model) {
    for (Fields field(message); field.next();) {
        if (field.number == 2) model.precompiled_charsmap = field.bytes;
        if (field.number == 3) model.add_dummy_prefix = field.value != 0;
        if (field.number == 4) model.remove_extra_whitespaces = field.value != 0;
        if (field.number == 5) model.escape_white_space = field.value != 0;
    }
}

}  // namespace

// Field numbers and defaults: sentencepiece_model.proto.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes) {
    SentencePieceModel model;
    model.is_byte_pair = false;
    model.is_unigram = true;
    model.remove_extra_whitespaces = true;
    model.bos_id = 1;
    model.eos_id = 2;
    for (Fields field(bytes); field.next();) {
        if (field.number == 1) add_piece(field.bytes, model);
        if (field.number == 2) read_trainer(field.bytes, model);
        if (field.number == 3) read_normalizer(field.bytes, model);
    }
    require(!model.pieces.empty(), "the SentencePiece model has no pieces");
    return model;
}

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
    trainer.add_integer(3, model.is_unigram ? unigram_model : byte_pair_model);
    trainer.add_integer(4, static_cast<std::int64_t>(model.pieces.size()));
    const bool has_bytes = std::count(model.types.begin(), model.types.end(), byte_piece) > 0;
    trainer.add_integer(24, model.white_space_as_suffix ? 1 : 0);
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
    normalizer.add_integer(5, model.escape_white_space ? 1 : 0);
    whole.add_bytes(3, normalizer.bytes());
    return whole.bytes();
}

}  // namespace jlcm
