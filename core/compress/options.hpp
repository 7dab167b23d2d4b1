#pragma once
// What jlcm-run takes. Every key is documented where it is declared (run_spec.cpp).

#include "core/codebook/codebook_init.hpp"
#include "core/codebook/grouping.hpp"
#include "core/codebook/solver.hpp"
#include "core/data/dataset.hpp"
#include "core/learn/block_learner.hpp"
#include "core/learn/distiller.hpp"
#include "core/learn/objective.hpp"
#include "core/model/evaluation.hpp"
#include "core/model/model_loader.hpp"
#include "core/plugin/choice.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

enum class Compute : std::uint8_t { automatic, float32, bfloat16 };
inline EnumNames<Compute> enum_names(Compute /*tag*/) {
    return {{Compute::automatic, "auto", "bfloat16 where the CPU multiplies it in hardware, else float32"},
            {Compute::float32, "float32"},
            {Compute::bfloat16, "bfloat16", "products of bfloat16 inputs, summed in float32"}};
}

/// Whose activations a stage looks at.
enum class Inputs : std::uint8_t { original, compressed };
inline EnumNames<Inputs> enum_names(Inputs /*tag*/) {
    return {{Inputs::original, "original", "what the original model feeds the block"},
            {Inputs::compressed, "compressed", "what the blocks compressed so far feed it"}};
}

struct ModelOptions {
    Choice<ModelLoader> loader{"auto"};
    std::string source;
    void fields(Fields& v);
};

struct CalibrationOptions {
    std::vector<DatasetChoice> dataset;
    std::vector<double> shares;
    std::int64_t sequences = 200;
    std::int64_t length = 256;
    std::optional<std::int64_t> solver_sequences;
    void fields(Fields& v);
    void validate(Problems& problems) const;
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

/// The embedding table, and the head where it has weights of its own.
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

/// What the layer-wise stages fit a layer's outputs to.
enum class SolverTarget : std::uint8_t { same_input, original_output };
inline EnumNames<SolverTarget> enum_names(SolverTarget /*tag*/) {
    return {
        {SolverTarget::same_input, "same_input", "what the original weights make of the same inputs"},
        {SolverTarget::original_output, "original_output",
         "what the original model puts out there, its own inputs being better: the layer makes up for the "
         "compressed ones before it"}};
}

/// What happens to rows whose order nothing absorbs.
enum class Unabsorbed : std::uint8_t { store, leave };
inline EnumNames<Unabsorbed> enum_names(Unabsorbed /*tag*/) {
    return {{Unabsorbed::store, "store", "their order is stored, 2 bytes a row"},
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
    /// Whether whole blocks are learned, which takes activations and backwards.
    [[nodiscard]] bool learns_blocks() const { return learn && learn->objective.make()->needs_activations(); }
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

struct RunSpec {
    std::int64_t version = 1;
    std::string name = "run";
    std::uint64_t seed = 0;
    Compute compute = Compute::automatic;
    double checkpoint_minutes = 2;
    std::vector<std::string> data_path;
    std::vector<std::string> plugins;
    ModelOptions model;
    CalibrationOptions calibration;
    CompressOptions compress;
    std::vector<Choice<Evaluation>> evaluate;
    void fields(Fields& v);
    void validate(Problems& problems) const;
};

/// The resolved spec without what does not change a result (name, places, how often state is saved).
[[nodiscard]] Config identity_of(Config resolved);

}  // namespace jlcm
