#pragma once
// The options of the pipeline: what it calibrates on and how it compresses. Every key is documented where it
// is declared (options.cpp).

#include "core/codebook/codebook_init.hpp"
#include "core/codebook/grouping.hpp"
#include "core/codebook/solver.hpp"
#include "core/data/dataset.hpp"
#include "core/learn/block_learner.hpp"
#include "core/learn/distiller.hpp"
#include "core/learn/objective.hpp"
#include "core/plugin/choice.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Whose activations a stage looks at.
enum class Inputs : std::uint8_t { original, compressed };
inline EnumNames<Inputs> enum_names(Inputs /*tag*/) {
    return {{Inputs::original, "original", "the block's inputs in the original model"},
            {Inputs::compressed, "compressed", "its inputs from the blocks compressed so far"}};
}

struct CalibrationOptions {
    std::vector<DatasetChoice> dataset;
    std::vector<double> shares;
    std::int64_t sequences = 200;
    std::int64_t length = 256;
    std::optional<std::int64_t> solver_sequences;
    void fields(Fields& v);
    void validate(Problems& problems) const;
    /// How many of the samples the layer-wise stages see.
    [[nodiscard]] std::int64_t observed() const { return solver_sequences.value_or(sequences); }
};

/// Which weights an override is for: those that fit every condition given.
struct Match {
    std::vector<std::string> role;
    std::vector<std::string> name;
    std::vector<std::int64_t> blocks;
    std::int64_t first_blocks = 0;
    std::int64_t last_blocks = 0;
    void fields(Fields& v);
    void validate(Problems& problems) const;
};

struct Override {
    Match match;
    std::optional<int> bits;
    std::optional<Choice<Grouping>> grouping;
    bool exclude = false;
    void fields(Fields& v);
    void validate(Problems& problems) const;
};

struct LearnOptions : BlockLearningOptions {
    Choice<Objective> objective{"block"};
    Inputs inputs = Inputs::compressed;
    void fields(Fields& v);
};

struct DistillOptions : DistillationOptions {
    std::optional<std::int64_t> length;
    void fields(Fields& v);
};

/// The embedding table, and the head if it has weights of its own.
struct EmbeddingOptions {
    int bits = 4;
    Choice<Grouping> grouping{"per_row"};
    Choice<CodebookInit> codebook_init;
    void fields(Fields& v);
};

/// Second moments weighted by the gradients of a layer's outputs.
struct OutputWeightingOptions {
    std::int64_t groups = 4;
    void fields(Fields& v);
};

/// The target that the layer-wise stages fit a layer's outputs to.
enum class SolverTarget : std::uint8_t { same_input, original_output };
inline EnumNames<SolverTarget> enum_names(SolverTarget /*tag*/) {
    return {{SolverTarget::same_input, "same_input", "the original weights' outputs for the same inputs"},
            {SolverTarget::original_output, "original_output",
             "the original model's outputs, computed from its own inputs: the layer compensates for the "
             "compressed layers before it"}};
}

/// The treatment of rows whose order nothing absorbs.
enum class Unabsorbed : std::uint8_t { store, leave };
inline EnumNames<Unabsorbed> enum_names(Unabsorbed /*tag*/) {
    return {{Unabsorbed::store, "store", "their order is stored, 2 bytes per row"},
            {Unabsorbed::leave, "leave", "they stay, and consecutive rows make their groups"}};
}

/// Orders of neurons that the rest of the graph absorbs.
struct ReorderOptions {
    bool residual = false;
    Unabsorbed unabsorbed = Unabsorbed::leave;
    void fields(Fields& v);
};

struct CompressOptions {
    int bits = 2;
    Choice<Grouping> grouping{"per_row"};
    std::optional<ReorderOptions> reorder;
    Choice<CodebookInit> codebook_init{"kmeans"};
    Choice<Solver> solver{"lnq"};
    Inputs solver_inputs = Inputs::original;
    SolverTarget solver_target = SolverTarget::same_input;
    std::optional<OutputWeightingOptions> output_weighting;
    bool recalibrate_norms = false;
    std::int64_t blocks_together = 1;
    bool compare_with_solver = true;
    bool compare_with_learned = false;
    std::optional<LearnOptions> learn;
    std::optional<DistillOptions> distill;
    std::optional<EmbeddingOptions> embedding;
    std::vector<Override> overrides;
    void fields(Fields& v);
    void validate(Problems& problems) const;
    /// The data that the initialiser and the solver read by themselves.
    [[nodiscard]] DataNeeds method_needs() const;
    /// The data of each block that they read once weighting and target are taken into account.
    [[nodiscard]] DataNeeds solving_needs() const;
    /// The data that the learning of a block reads.
    [[nodiscard]] DataNeeds learning_needs() const;
    /// Whether calibration samples go through the blocks at all.
    [[nodiscard]] bool needs_calibration() const;
    /// Whether any samples are drawn.
    [[nodiscard]] bool needs_samples() const { return needs_calibration() || distill.has_value(); }
    /// The options that want samples, as a message lists them: "compress.solver (lnq)".
    [[nodiscard]] std::vector<std::string> why_samples() const;
    /// Whether the solver or learning needs second moments of these inputs.
    [[nodiscard]] bool observes(Inputs inputs) const {
        return solver_inputs == inputs && (solving_needs() | learning_needs()).moments();
    }
    /// Whether whole blocks are learned, which takes activations and backwards.
    [[nodiscard]] bool learns_blocks() const { return learning_needs().activations; }
    /// Whether distillation goes on from where block learning left the weights among their codewords.
    [[nodiscard]] bool keeps_positions() const {
        return distill && distill->estimator && distill->mapping.start == MappingStart::learned;
    }
    /// Whether they learn from these inputs.
    [[nodiscard]] bool learns_from(Inputs inputs) const {
        return learn.has_value() && learn->inputs == inputs && learns_blocks();
    }
    /// How many models are evaluated: the original, the compressed one, and what earlier stages left.
    [[nodiscard]] int evaluated_models() const {
        return 2 + (compare_with_solver && (learn || distill) ? 1 : 0) +
               (compare_with_learned && learn && distill ? 1 : 0);
    }
};

}  // namespace jlcm
