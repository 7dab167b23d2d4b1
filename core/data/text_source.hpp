#pragma once
// What the dataset plugins share: reading a file, cutting it into documents, and taking a part of them.

#include "core/data/dataset.hpp"
#include "core/data/split.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// A document is held out if the hash of its text says so: however the file is ordered.
struct SplitOptions {
    Split split = Split::all;
    double held_out = 0.1;
    void fields(Fields& v) {
        v("split", split,
          Doc{"Which documents are taken. Choose hyper-parameters and report generalisation on held_out; "
              "calibrate and learn on calibration."});
        v("held_out", held_out,
          Doc{"Share of the documents that is held out, by SHA-256 of each. Must be equal "
              "on both sides of a split."},
          Range{0.0, 1.0});
    }
};

/// The documents of `split`, in order: one is held out if the first 32 bits of its SHA-256, as a number in
/// [0, 1), lie below `held_out`.
[[nodiscard]] std::vector<std::string> split_documents(std::vector<std::string> documents,
                                                       const SplitOptions& split);

/// `text` cut at every `delimiter`; white space around the documents is dropped, and documents that are left
/// empty.
[[nodiscard]] std::vector<std::string> cut_documents(std::string_view text, std::string_view delimiter);

/// A text that the project knows by name and content.
struct NamedText {
    std::string_view name;
    std::string_view file;
    std::string_view sha256;
    std::string_view source;     ///< what it is, where it comes from, its licence
    std::string_view delimiter;  ///< between documents; empty: the text is one
    /// Documents are paragraphs of a running text: those taken are joined again by the delimiter, nothing
    /// trimmed.
    bool is_running_text = false;
    std::string_view advice = {};  ///< how else to get it, for the error message
};

/// A dataset that is such a text.
class NamedDataset : public Dataset {
  public:
    explicit NamedDataset(const NamedText& text, const SplitOptions& split = {})
        : text_(text), split_(split) {}
    [[nodiscard]] bool is_available(const Directories& directories) const override;
    [[nodiscard]] Data load(const Directories& directories) const override;

  private:
    NamedText text_;
    SplitOptions split_;
};

/// "c4-sample", "c4-sample, held out 10 %": a dataset's name with the part taken.
[[nodiscard]] std::string name_with_split(std::string_view name, const SplitOptions& split);

}  // namespace jlcm
