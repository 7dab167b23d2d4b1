#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "wikitext-2-raw-test",
    .file = "wikitext-2-raw-test.txt",
    .sha256 = "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08",
    .source = "WikiText-2 raw, test split (wiki.test.raw; Merity et al. 2016); CC BY-SA 3.0",
    .delimiter = "",
    .is_running_text = true,
};

class WikiText2RawTest final : public NamedDataset {
  public:
    using Options = NoOptions;
    WikiText2RawTest() : NamedDataset(text) {}
};

const Registrar<Dataset, WikiText2RawTest> registrar{
    "wikitext-2-raw-test", "WikiText-2 raw test split as one text: the usual text of perplexity figures."};

}  // namespace
}  // namespace jlcm
