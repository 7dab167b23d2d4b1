#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "debian-handbook",
    .file = "debian-handbook.txt",
    .sha256 = "946724af1f50c27ab45843912c8412c438cf8659e30c6ad3a7b6b9d9bfa7f709",
    .source =
        "The Debian Administrator's Handbook (Hertzog and Mas), Debian package debian-handbook 11.20220922, "
        "one document a chapter; GPL-2+ or CC BY-SA 3.0",
    .delimiter = "\f",
    .advice = "scripts/make_handbook_text.sh makes it",
};

struct HandbookOptions : SplitOptions {
    HandbookOptions() { held_out = 0.25; }  // six of twenty chapters, a fifth of the text
};

class DebianHandbook final : public NamedDataset {
  public:
    using Options = HandbookOptions;
    explicit DebianHandbook(const Options& options) : NamedDataset(text, options) {}
};

const Registrar<Dataset, DebianHandbook> registrar{
    "debian-handbook",
    "The Debian Administrator's Handbook by chapters: a text that every Debian mirror has."};

}  // namespace
}  // namespace jlcm
