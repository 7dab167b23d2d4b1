#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/formats/numpy.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/model/divergence.hpp"
#include "core/model/evaluation.hpp"
#include "core/model/noise_floor.hpp"
#include "plugins/evaluation/outputs/distance.hpp"

#include <algorithm>
#include <map>

namespace jlcm {
namespace {

struct OutputsOptions {
    DatasetChoice dataset;
    std::int64_t samples = 0;
    std::optional<std::int64_t> axis;
    bool noise_floor = false;
    std::string write;
    void fields(Fields& v) {
        v("dataset", dataset, Doc{"Images or tensors; labels are not looked at."}, Required{});
        v("samples", samples, Doc{"How many of them, from the first on; 0: all."}, at_least(0));
        v("axis", axis,
          Doc{"Dimension of the output along which the arg-max is compared, the first being that of samples; -1 is "
              "the last. Unless it is set the last one of an output that holds classes, and none of other outputs; of "
              "labels each counts by itself, as likelier than not or less likely."});
        noise_floor_field(v, noise_floor);
        v("write", write,
          Doc{"An .npz file that gets the outputs of each model (model_0, model_1, ..., of several outputs "
              "model_0:NAME): for figures of one's own."});
    }
};

class Outputs final : public Evaluation {
  public:
    using Options = OutputsOptions;
    explicit Outputs(const Options& options) : options_(options), dataset_(options.dataset.make()) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return identity_of(Data(load_images(*dataset_, directories)));
    }

    [[nodiscard]] Workload workload(const ModelFacts& model, const Directories& directories) const override {
        const ImageData data = load_images(*dataset_, directories);
        check(model);
        (void)compared_outputs(model.graph);
        (void)read(model.input, data, 0, 1);
        return {.samples = count_of(data)};
    }

    [[nodiscard]] bool has_noise_floor() const override { return options_.noise_floor; }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const ImageData data = load_images(*dataset_, directories);
        check(models.facts());
        const std::vector<Compared> outputs = compared_outputs(models.models.front()->graph());
        for (const BoundModel* each : models.models) require_alike(outputs, compared_outputs(each->graph()));
        EvaluationResult result{.title = fmt::format("outputs, {}", data.name),
                                .metric = "relative squared error",
                                .higher_is_better = false,
                                .protocol = {{"samples", data.name},
                                             {"samples_sha256", data.sha256},
                                             {"samples_source", data.source},
                                             {"items", count_of(data)},
                                             {"relative_squared_error", "|y - original|^2 / |original|^2"},
                                             {"standard_error", "of a mean over samples"}},
                                .models = {},
                                .expected = {}};
        add_protocol(outputs, result.protocol);
        const NoiseFloor floor(options_.noise_floor, models, "outputs");
        result.models = compare(floor.models(), models.input, data, outputs);
        floor.fold(result.models);
        return result;
    }

  private:
    /// An output, the columns of the features that it is compared by, and the dimension of its arg-max.
    struct Compared {
        std::string name;
        OutputMeaning meaning = OutputMeaning::values;
        RecordPart part;
        std::optional<std::size_t> axis;
    };

    static void check(const ModelFacts& model) {
        require(model.graph.head() < 0 && model.input.preprocess != nullptr,
                "outputs: the model reads text; its evaluations are perplexity and embedding");
    }

    [[nodiscard]] std::vector<Compared> compared_outputs(const Graph& graph) const {
        std::vector<Compared> outputs;
        for (const auto& [output, part] : compared_parts(graph))
            outputs.push_back({output->name, output->compared_as, part, axis_of(*output, part.shape)});
        return outputs;
    }

    /// The dimension of the arg-max, from 1 on. `shape`: of one sample.
    [[nodiscard]] std::optional<std::size_t> axis_of(const GraphOutput& output, const Shape& shape) const {
        const OutputMeaning meaning = output.compared_as;
        if (!options_.axis && (meaning == OutputMeaning::values || are_labels(meaning))) return std::nullopt;
        const std::int64_t rank = std::ssize(shape) + 1;
        const std::int64_t given = options_.axis.value_or(-1);
        const std::int64_t axis = given < 0 ? given + rank : given;
        require(axis > 0 && axis < rank,
                "outputs: axis {} of the output '{}', whose samples are of shape {}, behind the dimension of "
                "samples",
                given, output.name, to_string(shape));
        return static_cast<std::size_t>(axis);
    }

    static void require_alike(const std::vector<Compared>& original, const std::vector<Compared>& other) {
        require(original.size() == other.size(), "outputs: the models have {} and {} outputs",
                original.size(), other.size());
        for (std::size_t i = 0; i < original.size(); ++i) {
            require(original[i].meaning == other[i].meaning,
                    "outputs: the models' outputs mean different things ({} and {})",
                    name_of(original[i].meaning), name_of(other[i].meaning));
            require(original[i].part.shape == other[i].part.shape, "outputs: of shapes {} and {}",
                    to_string(original[i].part.shape), to_string(other[i].part.shape));
        }
    }

    static void add_protocol(const std::vector<Compared>& outputs, nlohmann::json& protocol) {
        const auto describe = [](const Compared& output, nlohmann::json& record) {
            record["compared_as"] = name_of(output.meaning);
            if (output.axis) record["axis"] = *output.axis;
            if (!output.axis && are_labels(output.meaning))
                record["agreement"] = "of each label, at a probability of 1/2";
        };
        if (outputs.size() == 1) return describe(outputs.front(), protocol);
        protocol["value"] = "mean over outputs";
        for (const Compared& output : outputs) describe(output, protocol["outputs"][output.name]);
    }

    [[nodiscard]] std::int64_t count_of(const ImageData& data) const {
        const std::int64_t all = data.images->count();
        return options_.samples == 0 ? all : std::min(all, options_.samples);
    }

    [[nodiscard]] static Tensor read(const ModelInput& input, const ImageData& data, std::int64_t begin,
                                     std::int64_t end) {
        std::vector<ImageChoice> chosen;
        for (std::int64_t i = begin; i < end; ++i) chosen.push_back({data.images.get(), i});
        return preprocessed(chosen, *input.preprocess);
    }

    /// The columns of an output among features [rows, columns], of all samples or of rows each.
    [[nodiscard]] static Tensor values_of(const Compared& output, const Tensor& features, bool is_only) {
        if (!is_only) return part_of(features, output.part);
        Shape shape = output.part.shape;
        shape.insert(shape.begin(), features.size() / output.part.size);
        return features.reshape(shape);
    }

    [[nodiscard]] std::vector<Figures> compare(const std::vector<const BoundModel*>& models,
                                               const ModelInput& input, const ImageData& data,
                                               const std::vector<Compared>& outputs) const {
        constexpr std::int64_t batch = 16;
        const std::int64_t count = count_of(data);
        std::vector<OutputDistance> distances;
        for (const Compared& output : outputs) distances.emplace_back(output.meaning, output.axis);
        std::vector<std::vector<OutputDistance>> all(models.size(), distances);
        Written written;
        Progress progress("outputs", count, "samples");
        for (std::int64_t begin = 0; begin < count; begin += batch) {
            throw_if_interrupted();
            const std::int64_t end = std::min(count, begin + batch);
            const Tensor samples = read(input, data, begin, end);
            Tensor original;
            for (std::size_t m = 0; m < all.size(); ++m) {
                const Tensor own = models[m]->features(samples).to(DType::f32);
                if (m == 0) original = own;
                for (std::size_t i = 0; i < outputs.size(); ++i) {
                    const Tensor part = values_of(outputs[i], own, outputs.size() == 1);
                    all[m][i].add(values_of(outputs[i], original, outputs.size() == 1), part, end - begin);
                    if (!options_.write.empty()) written[array_name(m, outputs, i)].push_back(part);
                }
            }
            progress.update(end, "");
        }
        if (!options_.write.empty()) write(written);
        std::vector<std::string> names;
        for (const Compared& output : outputs) names.push_back(output.name);
        std::vector<Figures> figures;
        for (const auto& model : all) {
            std::vector<Figures> each;
            for (const OutputDistance& distance : model) each.push_back(distance.figures(figures.empty()));
            figures.push_back(together(names, each));
        }
        return figures;
    }

    using Written = std::map<std::string, std::vector<Tensor>>;

    [[nodiscard]] static std::string array_name(std::size_t model, const std::vector<Compared>& outputs,
                                                std::size_t output) {
        return outputs.size() == 1 ? fmt::format("model_{}", model)
                                   : fmt::format("model_{}:{}", model, outputs[output].name);
    }

    void write(const Written& written) const {
        std::vector<std::pair<std::string, Tensor>> arrays;
        for (const auto& [name, parts] : written) {
            Shape shape = parts.front().shape();
            shape.front() = 0;
            for (const Tensor& part : parts) shape.front() += part.rows();
            Tensor whole = Tensor::empty(shape);
            auto* out = whole.data<float>();
            for (const Tensor& part : parts) out = std::ranges::copy(part.values<float>(), out).out;
            arrays.emplace_back(name, std::move(whole));
        }
        write_file(options_.write, npz_of(arrays));
    }

    OutputsOptions options_;
    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Evaluation, Outputs> registrar{
    "outputs",
    "How far a network's outputs stay from the original's: relative squared error, cosine, largest "
    "difference, agreement of the arg-max or of labels, KL divergence, of each output. Needs no labels."};

}  // namespace
}  // namespace jlcm
