#pragma once
// Texts and images to calibrate and evaluate with: the plugin kind "dataset".

#include "core/base/data_directories.hpp"
#include "core/base/json.hpp"
#include "core/plugin/choice.hpp"
#include "core/text/text_data.hpp"
#include "core/vision/image.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace jlcm {

/// What a dataset holds.
using Data = std::variant<TextData, ImageData>;

/// Its name, as tables show it.
[[nodiscard]] const std::string& name_of(const Data& data);
/// {"text", "text_sha256"}, or "images" in place of "text": a part of a run's identity.
[[nodiscard]] nlohmann::json identity_of(const Data& data);

class Dataset {
  public:
    Dataset() = default;
    Dataset(const Dataset&) = delete;
    Dataset& operator=(const Dataset&) = delete;
    virtual ~Dataset() = default;

    /// Whether load() would find its file.
    [[nodiscard]] virtual bool is_available(const Directories& directories) const = 0;

    /// An input error says where was looked and what to do where the file is missing, isn't the pinned one,
    /// or holds nothing in the part that was asked for.
    [[nodiscard]] virtual Data load(const Directories& directories) const = 0;
};

/// Its text, or its images; an input error where it holds the other.
[[nodiscard]] TextData load_text(const Dataset& dataset, const Directories& directories);
[[nodiscard]] ImageData load_images(const Dataset& dataset, const Directories& directories);

template <>
struct KindOf<Dataset> {
    static constexpr std::string_view name = "dataset";
    static constexpr std::string_view doc = "A text, or images, to calibrate, learn or evaluate with.";
};

/// A dataset named in a spec or on a command line: a plugin's name or map, or a path (a name with a '/', or
/// one that ends as a text does), which is short for {type: ..., path: ...} of the plugin that reads what
/// lies there: jsonl for names that end in .jsonl or .json, packed or not; image_folder or text_folder for a
/// folder that is there; text_file for everything else.
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
