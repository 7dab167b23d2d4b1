#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "wikitext-2-train-subset",
    .file = "wikitext-2-train-subset.txt",
    .sha256 = "ed14f9ef053842b47270b885f9d4120f4bf6a5b9a00d19e786eb39144ec10cd3",
    .source = "4,444 paragraphs of the WikiText-2 raw training split (Merity et al. 2016); CC BY-SA 3.0",
    .delimiter = "\n\n",
    .is_running_text = true,
};

class WikiText2TrainSubset final : public NamedDataset {
  public:
    using Options = SplitOptions;
    explicit WikiText2TrainSubset(const Options& options) : NamedDataset(text, options) {}
};

const Registrar<Dataset, WikiText2TrainSubset> registrar{
    "wikitext-2-train-subset",
    "Paragraphs of the WikiText-2 raw training split, as one text; no paragraph of the test split."};

}  // namespace
}  // namespace jlcm
