#include "core/data/text_source.hpp"

namespace jlcm {
namespace {

constexpr NamedText text{
    .name = "c4-sample",
    .file = "c4-sample.txt",
    .sha256 = "2daf1ef16e02dbd337f86296acd4c3f2eb703800ad21fd1f48b40280c699cd41",
    .source = "584 documents of C4 (Raffel et al. 2020); ODC-BY",
    .delimiter = "\n",
};

class C4Sample final : public NamedDataset {
  public:
    using Options = SplitOptions;
    explicit C4Sample(const Options& options) : NamedDataset(text, options) {}
};

const Registrar<Dataset, C4Sample> registrar{"c4-sample", "584 web documents of C4, one a line."};

}  // namespace
}  // namespace jlcm
