#pragma once
// Texts to calibrate and evaluate with: the plugin kind "dataset".

#include "core/plugin/choice.hpp"

#include <filesystem>
#include <string>
#include <string_view>
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

using Directories = std::vector<std::filesystem::path>;

/// Where named texts are looked for, in order: `given` (the spec's data_path), JLCM_DATA (colon-separated),
/// the cache directory's data/.
[[nodiscard]] Directories data_directories(const std::vector<std::string>& given = {});

/// The file in the first of `directories` that holds it, directly or under text/; empty where none does.
[[nodiscard]] std::filesystem::path find_data_file(const std::string& file, const Directories& directories);

class Dataset {
  public:
    Dataset() = default;
    Dataset(const Dataset&) = delete;
    Dataset& operator=(const Dataset&) = delete;
    virtual ~Dataset() = default;

    /// Whether load() would find its file.
    [[nodiscard]] virtual bool is_available(const Directories& directories) const = 0;

    /// An input error says where was looked and what to do where the file is missing, isn't the pinned one,
    /// or holds no text in the part that was asked for.
    [[nodiscard]] virtual TextData load(const Directories& directories) const = 0;
};

template <>
struct KindOf<Dataset> {
    static constexpr std::string_view name = "dataset";
    static constexpr std::string_view doc = "A text to calibrate, learn or evaluate with.";
};

/// A dataset named in a spec or on a command line: a plugin's name or map, or the path of a text file (a name
/// with a
/// '/' or ending in ".txt"), which is short for {type: text_file, path: ...}.
class DatasetChoice : public Choice<Dataset> {
  public:
    using Choice::Choice;
    void decode(const Config& given, Problems& problems);
    [[nodiscard]] static DatasetChoice parse(std::string_view yaml);
};

class DatasetSlot : public ChoiceSlot {
  public:
    explicit DatasetSlot(DatasetChoice& variable) : ChoiceSlot(variable), dataset_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;

  private:
    DatasetChoice& dataset_;
};

template <>
struct SlotOf<DatasetChoice> {
    using Type = DatasetSlot;
};

}  // namespace jlcm
