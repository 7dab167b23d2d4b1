#pragma once
// A text as datasets hold it.

#include <string>
#include <vector>

namespace jlcm {

/// A text, read and checked.
struct TextData {
    std::string name;  ///< as tables show it, with the part that was taken: "c4-sample, held out"
    /// At least one, none empty. A running text is one document.
    std::vector<std::string> documents;
    std::string sha256;  ///< of the file's bytes; with `name` it says what `documents` is
    std::string source;  ///< where the text comes from, for records; may be empty
};

}  // namespace jlcm
