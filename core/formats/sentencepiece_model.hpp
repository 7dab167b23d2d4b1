#pragma once
// A SentencePiece model in parts, from and to the protocol buffer message that the library reads.

#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// The fields of sentencepiece_model.proto's ModelProto that tokenizers of other formats are made of.
struct SentencePieceModel {
    std::vector<std::string> pieces;  ///< by id
    std::vector<float> scores;        ///< higher merges first
    std::vector<int> types;           ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
    bool is_byte_pair = true;         ///< or a unigram model, or one of words or characters
    bool is_unigram = false;
    bool white_space_as_suffix = false;
    bool escape_white_space = true;  ///< spaces become U+2581
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = false;
    std::string precompiled_charsmap;
    std::string unknown_piece = "<unk>";
    int unknown_id = 0;
    int bos_id = -1;  ///< -1: none
    int eos_id = -1;
    int pad_id = -1;
};

/// The parts of a .model file's bytes, with the library's defaults for what the file leaves out. An input error
/// for what is no such message, or has no pieces.
[[nodiscard]] SentencePieceModel parse_sentencepiece_model(std::string_view bytes);

/// The message's bytes, of a byte-pair or unigram model.
[[nodiscard]] std::string serialized(const SentencePieceModel& model);

}  // namespace jlcm
