#include "core/run/preflight.hpp"

#include "core/base/refusals.hpp"
#include "core/compress/embedding.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/learn/learned_codes.hpp"
#include "core/model/find_model.hpp"

#include <optional>
#include <set>

namespace jlcm {
namespace {

/// Windows of a short text may be longer than the text; images show with the first.
void require_samples(const RunSpec& spec, const CalibrationOptions& calibration, const Model& model,
                     const CalibrationData& data) {
    require_readable(model.input(), data, calibration, spec.compress.distill);
    std::set<std::int64_t> lengths;
    if (spec.compress.needs_calibration()) lengths.insert(calibration.length);
    if (const auto& distill = spec.compress.distill)
        lengths.insert(distill->length.value_or(calibration.length));
    for (const std::int64_t length : lengths)
        (void)make_sample_source(model.input(), data.data, data.shares, length, spec.seed)->samples(0, 1);
}

/// The estimators that move mappings to vectors, as a message lists them.
std::string estimators_of_vectors() {
    std::string names;
    for (const std::string& name : Registry::instance().names(KindOf<Estimator>::name))
        if (Choice<Estimator>(name).make()->takes_vectors()) names += (names.empty() ? "" : ", ") + name;
    return names;
}

/// `is_table`: of those block learning moves none.
void require_learnable(const CompressOptions& options, const std::string& name, const MatrixPlan& matrix,
                       const Layout& layout, bool is_table) {
    const auto& distill = options.distill;
    const bool learns = options.learn && !is_table;
    const bool distills = distill && (distill->embedding || !is_table);
    if (!learns && !distills) return;
    require_learnable(name, layout);
    if (has_numbers(layout)) return;
    const auto check = [&](const char* where, const Choice<Estimator>& estimator) {
        require(
            estimator.make()->takes_vectors(),
            "{}: {} {} moves codes of single weights, in one stage, and the grouping {} makes codewords of "
            "dimension {}, in {} stages; take one of {}",
            name, where, estimator.name(), matrix.grouping.name(), layout.dimension, layout.residual,
            estimators_of_vectors());
    };
    if (learns) check("compress.learn.estimator", options.learn->estimator);
    if (distills && distill->estimator) check("compress.distill.estimator", *distill->estimator);
}

/// Grouping one matrix of each kind and shape tells whether all can be grouped, and learned.
void require_groups(const RunSpec& spec, const Model& model, const std::map<ParameterId, MatrixPlan>& plan,
                    Refusals& refusals) {
    std::set<std::string> tried;
    for (const auto& [id, matrix] : plan_with_tables(plan, model.graph(), spec.compress)) {
        const bool is_table = !plan.contains(id);
        const Parameter& parameter = model.graph().parameter(id);
        const std::string kind = fmt::format("{} {} {} {}", to_string(parameter.shape), matrix.bits,
                                             to_yaml(matrix.grouping.encode()), is_table);
        if (!tried.insert(kind).second) continue;
        refusals.check([&, id = id, &matrix = matrix] {
            const Layout layout =
                matrix.group({.name = parameter.name, .weights = model.weight(id), .second_moments = {}})
                    .layout;
            layout.validate(parameter.name);
            require_learnable(spec.compress, parameter.name, matrix, layout, is_table);
        });
    }
}

void require_predictions(const RunSpec& spec, const Model& model, Refusals& refusals) {
    const CompressOptions& compress = spec.compress;
    const bool is_no_prediction = model.graph().outputs().empty() && is_encoder(model.graph(), model.input());
    refusals.check([&] {
        require(!compress.distill || !is_no_prediction,
                "compress.distill: the model is an encoder, it predicts nothing to learn from: leave it out");
    });
    if (!compress.solving_needs().gradients()) return;
    const char* who = compress.output_weighting ? "compress.output_weighting" : "compress.solver";
    refusals.check([&] {
        require(!is_no_prediction,
                "{}: the model is an encoder, it has no predictions that could be wrong, "
                "whose gradients are wanted",
                who);
        if (model.graph().outputs().empty()) return;  // a language model predicts the tokens of a vocabulary
        require(
            model.graph().outputs().size() == 1,
            "{} wants the gradients of a loss over classes, of one output, and the model has {}. Choose it: "
            "model.outputs: [{{name: {}}}]",
            who, model.graph().outputs().size(), model.graph().outputs().front().name);
        require(
            compared_as(model.graph()) == OutputMeaning::logits,
            "{} wants the gradients of a loss over classes, and {}; if these are scores of classes, say so: "
            "model.outputs: [{{name: {}, meaning: logits}}]",
            who, describe(model.graph(), model.graph().outputs().front()),
            model.graph().outputs().front().name);
    });
}

/// Of what is there; `evaluations[i]`: whether that one's data are.
std::vector<Workload> check(const RunSpec& spec, const Model& model, const CalibrationData* data,
                            const std::map<ParameterId, MatrixPlan>* plan,
                            const std::vector<bool>& evaluations, const Directories& directories,
                            Refusals& refusals) {
    if (const auto& calibration = spec.calibration;
        data != nullptr && calibration && spec.compress.needs_samples())
        refusals.check([&] { require_samples(spec, *calibration, model, *data); });
    require_predictions(spec, model, refusals);
    if (plan != nullptr) require_groups(spec, model, *plan, refusals);
    std::vector<Workload> workloads;
    for (std::size_t i = 0; i < spec.evaluate.size(); ++i) {
        if (!evaluations[i]) continue;
        const auto workload = refusals.get([&] {
            return spec.evaluate[i].make()->workload({model.graph(), model.input()}, directories);
        });
        if (workload) workloads.push_back(*workload);
    }
    return workloads;
}

}  // namespace

RunInputs read_inputs(const RunSpec& spec, Backend& backend) {
    Refusals refusals;
    RunInputs inputs;
    inputs.directories = data_directories(spec.data_path);
    auto data = refusals.get([&] {
        return spec.compress.needs_samples() ? load_calibration_data(*spec.calibration, inputs.directories)
                                             : CalibrationData();
    });
    std::vector<bool> evaluations;
    for (const auto& choice : spec.evaluate) {
        auto identity = refusals.get([&] { return choice.make()->data(inputs.directories); });
        evaluations.push_back(identity.has_value());
        if (identity) inputs.evaluated.push_back(std::move(*identity));
    }
    refusals.check([&] {
        inputs.model_path = find_model(spec.model.source);
        inputs.model = std::make_unique<Model>(spec.model.load(backend));
        inputs.model->join_blocks(spec.compress.blocks_together);
    });
    std::optional<std::map<ParameterId, MatrixPlan>> plan;
    if (inputs.model)
        plan = refusals.get([&] { return plan_compression(inputs.model->graph(), spec.compress); });
    if (!refusals.empty() && inputs.model)
        (void)check(spec, *inputs.model, data ? &*data : nullptr, plan ? &*plan : nullptr, evaluations,
                    inputs.directories, refusals);
    refusals.throw_if_any();
    // Both are there: what was refused has been thrown.
    if (data) inputs.data = std::move(*data);
    if (plan) inputs.plan = std::move(*plan);
    return inputs;
}

std::vector<Workload> check_inputs(const RunSpec& spec, const RunInputs& inputs) {
    Refusals refusals;
    auto workloads = check(spec, *inputs.model, &inputs.data, &inputs.plan,
                           std::vector<bool>(spec.evaluate.size(), true), inputs.directories, refusals);
    refusals.throw_if_any();
    return workloads;
}

}  // namespace jlcm
