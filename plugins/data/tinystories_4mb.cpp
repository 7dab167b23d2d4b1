#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "tinystories-4mb",
    .file = "tinystories-4mb.txt",
    .sha256 = "bf7eb8a53eed721a5000f6f5d8301f00765d2b194675ab23991384437edc09f0",
    .source = "4,453 stories of TinyStories (Eldan and Li 2023); CDLA-Sharing-1.0",
    .delimiter = "<|endoftext|>",
};

class TinyStories4Mb final : public NamedDataset {
  public:
    using Options = SplitOptions;
    explicit TinyStories4Mb(const Options& options) : NamedDataset(text, options) {}
};

const Registrar<Dataset, TinyStories4Mb> registrar{"tinystories-4mb", "4,453 short stories."};

}  // namespace
}  // namespace jlcm
