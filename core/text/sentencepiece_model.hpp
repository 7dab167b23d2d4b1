#pragma once
// A SentencePiece model in parts, and as the protocol buffer message that the library reads.

#include <string>
#include <vector>

namespace jlcm {

/// The fields of sentencepiece_model.proto's ModelProto that a byte-pair model needs.
struct SentencePieceModel {
    std::vector<std::string> pieces;  ///< by id
    std::vector<float> scores;        ///< higher merges first
    std::vector<int> types;           ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = false;
    std::string precompiled_charsmap;
    int unknown_id = 0;
    int bos_id = -1;  ///< -1: none
    int eos_id = -1;
    int pad_id = -1;
};

/// The message's bytes.
[[nodiscard]] std::string serialized(const SentencePieceModel& model);

}  // namespace jlcm
