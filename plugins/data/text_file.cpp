#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/data/text_source.hpp"
#include "core/formats/gzip.hpp"

namespace jlcm {
namespace {

struct TextFileOptions {
    std::string path;
    std::string separator;
    SplitOptions part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A UTF-8 text file, maybe packed with gzip; looked for in the current directory and then where "
              "named datasets are."},
          Required{});
        v("separator", separator,
          Doc{"Separator of documents, e.g. \"\\n\" for one per line. Empty: the file is one text."});
        v("part", part, Doc{"The documents to take."});
    }
    void validate(Problems& problems) const {
        if (separator.empty() && part.split != Split::all)
            problems.field("part", "a file that is one text has no documents to split, give a separator");
    }
};

class TextFile final : public Dataset {
  public:
    using Options = TextFileOptions;
    explicit TextFile(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return std::filesystem::is_regular_file(place_data(options_.path, directories));
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const auto place = place_data(options_.path, directories);
        std::error_code ignored;
        require(!std::filesystem::is_directory(place, ignored),
                "{}: it is a folder; name what it holds: {{type: text_folder, path: ...}} or {{type: "
                "image_folder, path: ...}}",
                place.string());
        const std::string text = read_text(place);
        const std::string name = std::filesystem::path(options_.path).filename().string();
        TextData data{.name = name_with_split(name, options_.part),
                      .documents = {text},
                      .sha256 = sha256(text),
                      .source = options_.path};
        if (!options_.separator.empty())
            data.documents = split_documents(cut_documents(text, options_.separator), options_.part);
        require(!data.documents.empty() && !data.documents.front().empty(), "{}: \"{}\" holds no text",
                options_.path, data.name);
        return data;
    }

  private:
    TextFileOptions options_;
};

const Registrar<Dataset, TextFile> registrar{"text_file", "Any text file."};

}  // namespace
}  // namespace jlcm
