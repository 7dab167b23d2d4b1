#include "core/report/tensorboard_export.hpp"

#include "core/base/files.hpp"
#include "core/report/printable.hpp"
#include "core/report/run_table.hpp"
#include "core/report/tracked_run.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>
#include <fmt/format.h>
#include <tensorboard.pb-c.h>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

/// CRC-32C, rotated and shifted, as the records of TensorFlow (TFRecord) have it.
std::uint32_t masked_checksum(std::span<const std::byte> bytes) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> checksum;
    checksum.process_bytes(bytes.data(), bytes.size());
    const std::uint32_t crc = checksum.checksum();
    return (crc >> 15U | crc << 17U) + 0xa282ead8U;
}

template <class T>
std::array<std::byte, sizeof(T)> little_endian(T value) {
    return std::bit_cast<std::array<std::byte, sizeof(T)>>(boost::endian::native_to_little(value));
}

/// A file of records: length, its checksum, the event, its checksum.
class EventFile {
  public:
    explicit EventFile(const fs::path& path) : file_(path) {}

    void write(const Tensorboard__Event& event) {
        std::vector<std::byte> bytes(tensorboard__event__get_packed_size(&event));
        tensorboard__event__pack(&event,
                                 reinterpret_cast<std::uint8_t*>(bytes.data()));  // NOLINT: bytes for C
        const auto length = little_endian<std::uint64_t>(bytes.size());
        file_.write(length);
        file_.write(little_endian(masked_checksum(length)));
        file_.write(bytes);
        file_.write(little_endian(masked_checksum(bytes)));
    }
    void commit() { file_.commit(); }

  private:
    AtomicFile file_;
};

/// The messages' strings are mutable pointers, and are only read.
char* text_of(const std::string& text) {
    return const_cast<char*>(text.c_str());  // NOLINT
}

class EventWriter {
  public:
    EventWriter(const fs::path& path, const TrackedRun& run)
        : file_(path), seconds_(static_cast<double>(run.end) / 1e3) {
        std::string version = "brain.Event:2";
        Tensorboard__Event event = at_step(0);
        event.what_case = TENSORBOARD__EVENT__WHAT_FILE_VERSION;
        event.file_version = version.data();
        file_.write(event);
    }

    void scalar(const std::string& tag, std::int64_t step, double number) {
        Tensorboard__Summary__Value value = TENSORBOARD__SUMMARY__VALUE__INIT;  // NOLINT: casts of its own
        value.tag = text_of(tag);
        value.value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        value.simple_value = static_cast<float>(number);
        write(value, step);
    }

    /// Markdown.
    void text(const std::string& tag, const std::string& markdown) {
        constexpr int type_of_strings = 7;  // DT_STRING of TensorFlow's types.proto
        std::string plugin = "text";
        Tensorboard__SummaryMetadata__PluginData data =
            TENSORBOARD__SUMMARY_METADATA__PLUGIN_DATA__INIT;  // NOLINT: casts of its own
        data.plugin_name = plugin.data();
        Tensorboard__SummaryMetadata metadata = TENSORBOARD__SUMMARY_METADATA__INIT;
        metadata.plugin_data = &data;
        Tensorboard__TensorShape__Dimension dimension = TENSORBOARD__TENSOR_SHAPE__DIMENSION__INIT;
        dimension.size = 1;
        std::array dimensions{&dimension};
        Tensorboard__TensorShape shape = TENSORBOARD__TENSOR_SHAPE__INIT;
        shape.n_dim = dimensions.size();
        shape.dim = dimensions.data();
        ProtobufCBinaryData content{
            markdown.size(), reinterpret_cast<std::uint8_t*>(text_of(markdown))};  // NOLINT: bytes for C
        Tensorboard__Tensor tensor = TENSORBOARD__TENSOR__INIT;
        tensor.dtype = type_of_strings;
        tensor.tensor_shape = &shape;
        tensor.n_string_val = 1;
        tensor.string_val = &content;
        Tensorboard__Summary__Value value = TENSORBOARD__SUMMARY__VALUE__INIT;  // NOLINT: casts of its own
        value.tag = text_of(tag);
        value.value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_TENSOR;
        value.tensor = &tensor;
        value.metadata = &metadata;
        write(value, 0);
    }

    void commit() { file_.commit(); }

  private:
    [[nodiscard]] Tensorboard__Event at_step(std::int64_t step) const {
        Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
        event.wall_time = seconds_;
        event.step = step;
        return event;
    }
    void write(Tensorboard__Summary__Value& value, std::int64_t step) {
        std::array values{&value};
        Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
        summary.n_value = values.size();
        summary.value = values.data();
        Tensorboard__Event event = at_step(step);
        event.what_case = TENSORBOARD__EVENT__WHAT_SUMMARY;
        event.summary = &summary;
        file_.write(event);
    }

    EventFile file_;
    double seconds_;
};

/// Of a directory: the title without what would make more directories of it, and the hash.
std::string directory_name(const TrackedRun& run) {
    std::string title = printable(run.title);
    std::ranges::replace(title, '/', '_');
    const std::string hash = run.id.substr(0, 12);
    return title.ends_with(hash) ? title : title + ' ' + hash;
}

}  // namespace

void write_tensorboard(const fs::path& directory, const std::vector<RunRecord>& runs) {
    for (const RunRecord& each : runs) {
        const TrackedRun run = tracked(each);
        EventWriter events(directory / directory_name(run) / "events.out.tfevents.0.jlcm", run);
        events.text("spec", "```\n" + run.spec + "```\n");
        std::vector<std::vector<std::string>> tags;
        for (const auto& [key, value] : run.tags) tags.push_back({key, value});
        events.text("tags", markdown_table({"tag", "value"}, tags, 2));
        for (const TrackedMetric& metric : run.metrics)
            for (const auto& [step, value] : metric.values) events.scalar(metric.name, step, value);
        events.commit();
    }
}

}  // namespace jlcm
