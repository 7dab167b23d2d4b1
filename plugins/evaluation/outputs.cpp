#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/formats/numpy.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/model/divergence.hpp"
#include "core/model/evaluation.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

struct OutputsOptions {
    DatasetChoice dataset;
    std::int64_t samples = 0;
    std::optional<std::int64_t> axis;
    std::string write;
    void fields(Fields& v) {
        v("dataset", dataset, Doc{"Images or tensors; labels are not looked at."}, Required{});
        v("samples", samples, Doc{"How many of them, from the first on; 0: all."}, at_least(0));
        v("axis", axis,
          Doc{"Dimension of the output along which the arg-max is compared, the first being that of samples; -1 is "
              "the last. Unless it is set the last one of an output that holds classes, and none of other outputs."});
        v("write", write,
          Doc{"An .npz file that gets the outputs of each model (model_0, model_1, ...): for figures of one's own."});
    }
};

/// Sums over the samples of one model.
struct Sums {
    double error = 0;      ///< of squares of differences
    double reference = 0;  ///< of squares of the original
    double own = 0;        ///< of squares of the model
    double product = 0;
    double largest = 0;  ///< difference
    double kl = 0;       ///< over rows of classes
    std::int64_t rows = 0;
    std::int64_t predictions = 0;
    std::int64_t agreeing = 0;
    std::vector<double> items;  ///< relative squared error by sample
    bool is_finite = true;
    bool has_kl = false;
};

/// A dimension of an output as [outer, size, inner].
struct Lines {
    std::int64_t outer = 1;
    std::int64_t size = 1;
    std::int64_t inner = 1;
    Lines(const Shape& shape, std::size_t axis) : size(shape[axis]) {
        for (std::size_t d = 0; d < shape.size(); ++d)
            if (d != axis) (d < axis ? outer : inner) *= shape[d];
    }
    /// Where the largest element of a line lies; the first of equals.
    [[nodiscard]] std::int64_t arg_maximum(std::span<const float> values, std::int64_t line) const {
        const std::int64_t begin = line / inner * size * inner + line % inner;
        std::int64_t best = 0;
        for (std::int64_t i = 1; i < size; ++i)
            if (values[static_cast<std::size_t>(begin + i * inner)] >
                values[static_cast<std::size_t>(begin + best * inner)])
                best = i;
        return best;
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
        (void)axis_of(model.graph);
        (void)read(model.input, data, 0, 1);
        return {.samples = count_of(data)};
    }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const ImageData data = load_images(*dataset_, directories);
        check(models.facts());
        const Graph& graph = models.models.front()->graph();
        for (const BoundModel* each : models.models)
            require(compared_as(each->graph()) == compared_as(graph),
                    "outputs: the models' outputs mean different things ({} and {})",
                    name_of(compared_as(graph)), name_of(compared_as(each->graph())));
        const std::vector<Sums> sums = compare(models, data);
        const auto axis = axis_of(graph);
        EvaluationResult result{.title = fmt::format("outputs, {}", data.name),
                                .metric = "relative squared error",
                                .higher_is_better = false,
                                .protocol = {{"samples", data.name},
                                             {"samples_sha256", data.sha256},
                                             {"samples_source", data.source},
                                             {"items", count_of(data)},
                                             {"compared_as", name_of(compared_as(graph))},
                                             {"relative_squared_error", "|y - original|^2 / |original|^2"},
                                             {"standard_error", "of a mean over samples"}},
                                .models = {},
                                .expected = {}};
        if (axis) result.protocol["axis"] = *axis;
        for (const Sums& each : sums)
            result.models.push_back(figures(each, &each == sums.data(), axis.has_value()));
        return result;
    }

  private:
    static void check(const ModelFacts& model) {
        require(model.graph.head() < 0 && model.input.preprocess != nullptr,
                "outputs: the model reads text; its evaluations are perplexity and embedding");
    }

    [[nodiscard]] static bool holds_classes(const Graph& graph) {
        return compared_as(graph) != OutputMeaning::values;
    }

    /// The dimension of the arg-max, from 1 on.
    [[nodiscard]] std::optional<std::size_t> axis_of(const Graph& graph) const {
        const auto shapes = graph.infer(graph.input_shape());
        const Shape& shape = shapes.at(static_cast<std::size_t>(graph.features()));
        if (!options_.axis && !holds_classes(graph)) return std::nullopt;
        const std::int64_t rank = std::ssize(shape);
        const std::int64_t given = options_.axis.value_or(-1);
        const std::int64_t axis = given < 0 ? given + rank : given;
        require(axis > 0 && axis < rank,
                "outputs: axis {} of an output of shape {}, whose first dimension is that of "
                "samples",
                given, to_string(shape));
        return static_cast<std::size_t>(axis);
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

    [[nodiscard]] std::vector<Sums> compare(const EvaluatedModels& models, const ImageData& data) const {
        constexpr std::int64_t batch = 16;
        const std::int64_t count = count_of(data);
        std::vector<Sums> sums(models.models.size());
        std::vector<std::vector<Tensor>> written(models.models.size());
        Progress progress("outputs", count, "samples");
        for (std::int64_t begin = 0; begin < count; begin += batch) {
            throw_if_interrupted();
            const std::int64_t end = std::min(count, begin + batch);
            const Tensor samples = read(models.input, data, begin, end);
            Tensor original;
            for (std::size_t m = 0; m < sums.size(); ++m) {
                const Tensor own = models.models[m]->features(samples).to(DType::f32);
                if (m == 0) original = own;
                add(sums[m], original, own, end - begin, models.models.front()->graph());
                if (!options_.write.empty()) written[m].push_back(own);
            }
            progress.update(end, "");
        }
        if (!options_.write.empty()) write(written);
        return sums;
    }

    /// Of a batch: outputs whose rows are those of `samples` samples, equally many each.
    void add(Sums& sums, const Tensor& original, const Tensor& own, std::int64_t samples,
             const Graph& graph) const {
        require(original.shape() == own.shape(), "outputs: of shapes {} and {}", to_string(original.shape()),
                to_string(own.shape()));
        const auto a = original.values<float>();
        const auto b = own.values<float>();
        const std::size_t each = a.size() / static_cast<std::size_t>(samples);
        for (std::int64_t s = 0; s < samples; ++s) {
            double error = 0;
            double reference = 0;
            for (std::size_t i = static_cast<std::size_t>(s) * each;
                 i < static_cast<std::size_t>(s + 1) * each; ++i) {
                const auto x = static_cast<double>(a[i]);
                const auto y = static_cast<double>(b[i]);
                sums.is_finite = sums.is_finite && std::isfinite(x) && std::isfinite(y);
                error += (x - y) * (x - y);
                reference += x * x;
                sums.own += y * y;
                sums.product += x * y;
                sums.largest = std::max(sums.largest, std::abs(x - y));
            }
            sums.error += error;
            sums.reference += reference;
            sums.items.push_back(error == 0 ? 0 : error / reference);
        }
        if (const auto axis = axis_of(graph)) {
            const Lines lines(own.shape(), *axis);
            for (std::int64_t line = 0; line < lines.outer * lines.inner; ++line) {
                ++sums.predictions;
                sums.agreeing += lines.arg_maximum(a, line) == lines.arg_maximum(b, line) ? 1 : 0;
            }
        }
        if (!holds_classes(graph)) return;
        sums.has_kl = true;
        const auto classes = static_cast<std::size_t>(own.shape().back());
        for (std::size_t at = 0; at + classes <= a.size(); at += classes)
            sums.kl +=
                Reference(compared_as(graph), a.subspan(at, classes)).divergence(b.subspan(at, classes));
        sums.rows += static_cast<std::int64_t>(a.size() / classes);
    }

    [[nodiscard]] Figures figures(const Sums& sums, bool is_original, bool has_axis) const {
        const auto n = static_cast<double>(sums.items.size());
        const auto finite = [&](double value) { return sums.is_finite ? value : not_a_number; };
        const double relative = sums.error == 0 ? 0 : sums.error / sums.reference;
        const double norms = std::sqrt(sums.reference * sums.own);
        Figures result{.value = finite(relative),
                       .standard_error = {},
                       .kl = {},
                       .agreement = {},
                       .more = {{"cosine", finite(norms == 0 ? 1 : sums.product / norms)},
                                {"largest_difference", finite(sums.largest)}},
                       .items = sums.is_finite ? nlohmann::json(sums.items) : nlohmann::json()};
        if (is_original) return result;
        if (n > 1 && sums.is_finite) {
            double mean = 0;
            for (const double item : sums.items) mean += item / n;
            double squares = 0;
            for (const double item : sums.items) squares += (item - mean) * (item - mean);
            result.standard_error = std::sqrt(squares / (n - 1) / n);
        }
        if (has_axis)
            result.agreement =
                finite(static_cast<double>(sums.agreeing) / static_cast<double>(sums.predictions));
        if (sums.has_kl) result.kl = finite(sums.kl / static_cast<double>(sums.rows));
        return result;
    }

    void write(const std::vector<std::vector<Tensor>>& written) const {
        std::vector<std::pair<std::string, Tensor>> arrays;
        for (std::size_t m = 0; m < written.size(); ++m) {
            Shape shape = written[m].front().shape();
            std::int64_t rows = 0;
            for (const Tensor& part : written[m]) rows += part.rows();
            shape.front() = rows;
            Tensor all = Tensor::empty(shape);
            auto* out = all.data<float>();
            for (const Tensor& part : written[m]) out = std::ranges::copy(part.values<float>(), out).out;
            arrays.emplace_back(fmt::format("model_{}", m), std::move(all));
        }
        write_file(options_.write, npz_of(arrays));
    }

    OutputsOptions options_;
    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Evaluation, Outputs> registrar{
    "outputs",
    "How far a network's output stays from the original's: relative squared error, cosine, largest "
    "difference, agreement of the arg-max, KL divergence. Needs no labels."};

}  // namespace
}  // namespace jlcm
