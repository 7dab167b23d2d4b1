#include "core/base/error.hpp"
#include "core/base/file_list.hpp"
#include "core/base/files.hpp"
#include "core/data/text_source.hpp"
#include "core/formats/gzip.hpp"

#include <array>

namespace jlcm {
namespace {

constexpr std::array<std::string_view, 2> endings{".txt", ".txt.gz"};

struct TextFolderOptions {
    std::string path;
    std::string separator;
    SplitOptions part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A folder; every .txt and .txt.gz file in it and in its folders is taken, sorted by folder and "
              "then by name. Looked for in the current directory and then where named datasets are."},
          Required{});
        v("separator", separator,
          Doc{"Separator of documents in a file, e.g. \"\\n\" for one per line. Empty: each file is a "
              "document."});
        v("part", part, Doc{"The documents to take."});
    }
};

class TextFolder final : public Dataset {
  public:
    using Options = TextFolderOptions;
    explicit TextFolder(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        std::error_code ignored;
        return std::filesystem::is_directory(place_data(options_.path, directories), ignored);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const auto place = place_data(options_.path, directories);
        auto files = files_below(place);
        const std::size_t all = files.size();
        std::erase_if(files, [](const std::string& file) { return !ends_in_one_of(file, endings); });
        require(!files.empty(), "{}: none of its {} files is a .txt or .txt.gz file", place.string(), all);
        const std::string name = without_last_slash(options_.path).filename().string();
        TextData data{.name = name_with_split(name, options_.part),
                      .documents = {},
                      .sha256 = sha256_of_files(place, files),
                      .source = options_.path};
        for (const std::string& file : files) {
            std::string text = read_text(place / file);
            if (!options_.separator.empty())
                for (std::string& document : cut_documents(text, options_.separator))
                    data.documents.push_back(std::move(document));
            else if (!text.empty())
                data.documents.push_back(std::move(text));
        }
        data.documents = split_documents(std::move(data.documents), options_.part);
        require(!data.documents.empty(), "{}: \"{}\" holds no text", options_.path, data.name);
        return data;
    }

  private:
    TextFolderOptions options_;
};

const Registrar<Dataset, TextFolder> registrar{"text_folder", "The text files of a folder."};

}  // namespace
}  // namespace jlcm
