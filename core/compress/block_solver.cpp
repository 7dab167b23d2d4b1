#include "core/compress/block_solver.hpp"

#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/store/matrix_state.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>

namespace jlcm {

namespace {

/// The squared error of the weights over their squares, both weighted by the second moments of their inputs
/// (all alike where there are none): the part of the output that is lost if inputs are uncorrelated.
double relative_error(const LayerProblem& problem, const CompressedMatrix& matrix) {
    const Tensor decoded = decode(matrix);
    const ImportanceOfRow importance = problem.second_moment_importance();
    const auto sum_of_squares = [&](auto value) {
        return parallel_sum(decoded.rows(), 16, [&](std::int64_t begin, std::int64_t end) {
            double sum = 0;
            for (std::int64_t r = begin; r < end; ++r) {
                const auto weights = importance(r);
                for (std::int64_t c = 0; c < decoded.cols(); ++c) {
                    const double weight =
                        weights.empty() ? 1.0 : static_cast<double>(weights[static_cast<std::size_t>(c)]);
                    const double each = value(r * decoded.cols() + c);
                    sum += weight * each * each;
                }
            }
            return sum;
        });
    };
    const auto own = [&](std::int64_t i) { return static_cast<double>(problem.weights.data<float>()[i]); };
    const double size = sum_of_squares(own);
    const double error = sum_of_squares(
        [&](std::int64_t i) { return static_cast<double>(decoded.data<float>()[i]) - own(i); });
    return size > 0 ? error / size : error;
}

}  // namespace

BlockSolver::BlockSolver(const Compression& run, BlockData& data, const StageKeys& keys, bool shares)
    : run_(run),
      data_(data),
      keys_(keys),
      shares_(shares),
      needs_(run.options.solving_needs()),
      codebook_init_(run.options.codebook_init.make()),
      solver_(run.options.solver.make()) {}

void BlockSolver::solve(std::size_t index, CompressedModel& model, CompressedModel* solver_only) {
    const Stages::Timer timer(run_.store.stages, "solve");
    const auto compute = [&] { return solved(index); };
    const SavedState state = shares_ ? run_.store.shared(keys_.solved(index), compute) : compute();
    run_.store.metrics.append(state.words.at("metrics"));
    for (const auto& note : nlohmann::json::parse(state.words.at("notes")))
        log_warning("{}", note.get<std::string>());
    for (const ParameterId id : run_.compressed_parameters(model.graph().blocks()[index])) {
        CompressedMatrix matrix = restore_matrix(state, model.graph().parameter(id).name);
        if (solver_only != nullptr) solver_only->matrices()[id] = matrix.clone();
        model.matrices()[id] = std::move(matrix);
    }
}

/// The block's matrices by name, with the solver's metrics and notes.
SavedState BlockSolver::solved(std::size_t index) {
    SavedState state;
    std::string& metrics = state.words["metrics"];
    auto notes = nlohmann::json::array();
    const Graph& graph = run_.model.graph();
    for (const auto& use : own_linears(graph, graph.blocks()[index].nodes)) {
        const auto plan = run_.plan.find(use.parameter);
        if (plan == run_.plan.end()) continue;
        const LayerProblem problem = data_.problem(use, needs_);
        CompressedMatrix matrix = first(problem, plan->second);
        const SolverLog log = solver_->solve(problem, matrix, run_.backend);
        matrix.round_to_storage(problem.name);
        for (const std::string& note : log.notes) notes.push_back(fmt::format("{}: {}", problem.name, note));
        const nlohmann::json record{{"stage", "solve"},
                                    {"block", index},
                                    {"weight", problem.name},
                                    {"objective", log.objective},
                                    {"error", relative_error(problem, matrix)}};
        metrics += record.dump() + '\n';
        append_matrix(state, problem.name, matrix);
        release_kept_memory();  // the next matrix has other sizes
    }
    if (std::string note = data_.few_tokens(); !note.empty()) notes.push_back(std::move(note));
    state.words["notes"] = notes.dump();
    return state;
}

CompressedMatrix BlockSolver::first(const LayerProblem& problem, const MatrixPlan& plan) const {
    const GroupedRows grouped = plan.group(problem);
    return solver_->starts_from_layout() ? blank_matrix(grouped)
                                         : codebook_init_->initialise(problem, grouped);
}

StageCost solving_cost(const PipelineSizes& sizes) {
    const GraphSizes& graph = sizes.graph;
    const DataNeeds needs = sizes.options.solving_needs();
    const auto solver = sizes.options.solver.make();
    StageCost stage{"solve", {}};
    stage.add("second moments", graph.largest_block([&](const Block& block) {
        return second_moment_bytes(graph.graph(), block, needs);
    }));
    // Weights, what initialisers and solvers keep for each of them, and their own copies of the second
    // moments.
    constexpr double bytes_per_weight = 16;
    constexpr double copies = 2.5;
    double largest = 0;
    for (const auto& [id, matrix] : sizes.plan) {
        const auto columns = static_cast<double>(graph.graph().parameter(id).shape.back());
        const double moments = needs.moments() ? copies * columns * columns * 4 : 0;
        largest = std::max(largest, graph.elements(id) * bytes_per_weight + moments);
        stage.products += solver->products() * 2 * graph.elements(id) * columns;
        // Sorting and clustering, by the initialiser or by a solver that takes its place.
        constexpr double sorting = 30;
        constexpr double each_codeword = 5;
        stage.loops += graph.elements(id) * (sorting + each_codeword * (1 << matrix.bits));
    }
    stage.add("solver", largest);
    stage.add("codes of a block",
              graph.largest_block([&](const Block& block) { return sizes.code_bytes(block); }));
    return stage;
}

}  // namespace jlcm
