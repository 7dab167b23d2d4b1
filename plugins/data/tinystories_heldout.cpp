#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "tinystories-heldout",
    .file = "tinystories-heldout.txt",
    .sha256 = "4f63663595a7b5001244f899f55135925843f78b50f983535509784c1313a055",
    .source =
        "495 stories of TinyStories (Eldan and Li 2023), none of them in tinystories-4mb; CDLA-Sharing-1.0",
    .delimiter = "<|endoftext|>",
};

class TinyStoriesHeldout final : public NamedDataset {
  public:
    using Options = NoOptions;
    TinyStoriesHeldout() : NamedDataset(text) {}
};

const Registrar<Dataset, TinyStoriesHeldout> registrar{"tinystories-heldout",
                                                       "495 short stories that are not in tinystories-4mb."};

}  // namespace
}  // namespace jlcm
