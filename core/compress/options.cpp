#include "core/compress/options.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <utility>

namespace jlcm {

void CalibrationOptions::fields(Fields& v) {
    v("dataset", dataset,
      Doc{"Texts or images that calibration samples are drawn from. Data like those of later use help most; "
          "a mix of two kinds generalises better than either."},
      Required{});
    v("shares", shares, Doc{"How often each dataset's turn comes. Empty: equally often."}, at_least(0));
    v("sequences", sequences,
      Doc{"Samples: windows of tokens, or images. Learning on fresh ones beats several passes over fewer; "
          "memory is 8 bytes times sequences times what a block makes of one (length times width).",
          "method section 7"},
      Range{1, 1e6});
    v("length", length,
      Doc{"Tokens of a window; nothing to images. Short windows make attention cheap, "
          "long ones are closer to use.",
          "method section 7"},
      Range{2, 1 << 20});
    v("solver_sequences", solver_sequences,
      Doc{"How many of them the layer-wise stages see. None: all. Second moments need far "
          "fewer than learning does."},
      at_least(1));
}

void CalibrationOptions::validate(Problems& problems) const {
    if (dataset.empty()) problems.field("dataset", "needs at least one dataset");
    if (!shares.empty() && shares.size() != dataset.size())
        problems.field("shares", "{} shares for {} datasets", shares.size(), dataset.size());
    if (!shares.empty() && std::ranges::all_of(shares, [](double share) { return share == 0; }))
        problems.field("shares", "at least one must be above 0");
    if (solver_sequences && *solver_sequences > sequences)
        problems.field("solver_sequences", "{} of {} sequences", *solver_sequences, sequences);
}

void Match::fields(Fields& v) {
    v("role", role, Doc{"Roles: attention.query, .key, .value, .output, mlp.gate, mlp.up, mlp.down."});
    v("name", name, Doc{"Parameter names with * and ?, e.g. \"*.layers.0.*\"."});
    v("blocks", blocks, Doc{"First and last block, counted from 0: [0, 3]."}, at_least(0));
    v("first_blocks", first_blocks, Doc{"The first n blocks (or, with last_blocks, either end)."},
      at_least(0));
    v("last_blocks", last_blocks, Doc{"The last n blocks."}, at_least(0));
}

void Match::validate(Problems& problems) const {
    if (!blocks.empty() && (blocks.size() != 2 || blocks[0] > blocks[1]))
        problems.field("blocks", "wants the first and the last block, e.g. [0, 3]");
    if (!blocks.empty() && (first_blocks > 0 || last_blocks > 0))
        problems.field("blocks", "does not go with first_blocks or last_blocks");
    if (role.empty() && name.empty() && blocks.empty() && first_blocks == 0 && last_blocks == 0)
        problems.field("role",
                       "the match needs at least one of role, name, blocks, first_blocks, last_blocks");
}

void Override::fields(Fields& v) {
    v("match", match, Doc{"The weights it is for: those that fit every condition given."}, Required{});
    v("bits", bits, Doc{"Bits of their codes."}, Range{1, 8});
    v("grouping", grouping, Doc{"Their grouping."});
    v("exclude", exclude, Doc{"Leave them as they are in the source."});
}

void Override::validate(Problems& problems) const {
    if (!bits && !grouping && !exclude)
        problems.field("match", "the override changes nothing: give bits, grouping or exclude");
    if (exclude && (bits || grouping))
        problems.field("exclude", "weights that stay as they are have neither bits nor grouping");
}

void LearnOptions::fields(Fields& v) {
    const When with_activations{[this] { return objective.make()->needs().activations; },
                                "this objective walks no samples through the block"};
    v("objective", objective, Doc{"The loss that is minimised.", "method section 4"});
    v("inputs", inputs,
      Doc{"The block's inputs. compressed lets each block make up for the ones before it; the targets are "
          "the original model's outputs either way."},
      with_activations);
    BlockLearningOptions::fields(v, with_activations);
}

void DistillOptions::fields(Fields& v) {
    DistillationOptions::fields(v);
    v("length", length, Doc{"Tokens of a window. None: as in calibration, and then windows are fresh ones."},
      Range{2, 1 << 20});
}

void EmbeddingOptions::fields(Fields& v) {
    v("bits", bits,
      Doc{"Bits of one code. Rows are as short as the model is wide: per-row codebooks are expensive above 4 bits."},
      Range{1, 8});
    v("grouping", grouping, Doc{"Which rows (tokens) share a codebook."});
    v("codebook_init", codebook_init,
      Doc{"The codebooks and the mapping. There are no calibration inputs: {type: kmeans, weights: none}."},
      Required{});
}

void OutputWeightingOptions::fields(Fields& v) {
    v("groups", groups,
      Doc{"Sets of neighbouring outputs of a layer that have second moments of their own. One is a weight "
          "per token; more tell outputs apart, each costs the calibration's products again."},
      Range{1, 1024});
}

void ReorderOptions::fields(Fields& v) {
    v("residual", residual,
      Doc{"Also give the residual stream one new order, by what all that write to it say of each feature. "
          "The embedding's columns move with it: blocks of values along its rows (Q8_0, ...) are re-encoded "
          "in float16, which costs bytes.",
          "method section 3"});
    v("unabsorbed", unabsorbed, Doc{"Rows that a grouping wants in an order that nothing absorbs."});
}

void CompressOptions::fields(Fields& v) {
    v("bits", bits, Doc{"Bits of one code: a codebook has 2^bits codewords."}, Range{1, 8});
    v("grouping", grouping, Doc{"Which neurons share a codebook.", "method section 3"});
    v("reorder", reorder,
      Doc{"Give neurons an order in which groups of a grouping that wants one (distribution) lie together, "
          "if the rest of the model absorbs it: it costs no bytes. None: a matrix stores its own order.",
          "method section 3"});
    v("codebook_init", codebook_init, Doc{"The first codebooks and mapping."});
    v("solver", solver, Doc{"Improves them layer by layer, without gradients.", "method section 5"});
    v("solver_inputs", solver_inputs,
      Doc{"Whose inputs the initialiser and the solver see. original saves a pass if block learning follows; "
          "compressed is better without it.",
          "method section 7"});
    v("solver_target", solver_target, Doc{"The target of a layer's outputs.", "method section 4"});
    v("output_weighting", output_weighting,
      Doc{"Weight each token of the layer objective by the squared gradients of the language-model loss "
          "with respect to the layer's outputs, in the initialiser and the solver. Costs a forward and a "
          "backward of the calibration windows, and wants many tokens: a few carry most of the weight. "
          "None: all tokens count the same.",
          "GuidedQuant, arXiv 2505.07004, section 3"});
    v("recalibrate_norms", recalibrate_norms,
      Doc{"Correct the statistics of batch norms behind each solved block by what the compressed model's "
          "differ from the original's over the calibration samples.",
          "arXiv 2106.08295, section 4.3, as a difference"});
    v("blocks_together", blocks_together,
      Doc{"Consecutive blocks that are reconstructed as one: learned on the last one's output, so that they "
          "compensate for each other. Takes as many times a block's memory; overrides count the model's own.",
          "CBQ, arXiv 2312.07950 (there windows overlap)"},
      at_least(1));
    v("compare_with_solver", compare_with_solver,
      Doc{"Also evaluate the model as the solver alone leaves it, for the last table. Costs one model's "
          "share of the evaluation."});
    v("compare_with_learned", compare_with_learned,
      Doc{"Also evaluate the model as block learning leaves it, before distillation, at the same cost."});
    v("learn", learn, Doc{"Joint learning of codebooks and mappings, block by block. None: not done."});
    v("distill", distill, Doc{"A pass over the whole model after that. None: not done."});
    v("embedding", embedding,
      Doc{"Compress the embedding, and the head if it is not tied to it, before everything else. None: they "
          "keep their source's encoding."});
    v("overrides", overrides, Doc{"Exceptions by role, depth or name; later ones win."});
}

void CompressOptions::validate(Problems& problems) const {
    if (distill && distill->steps == 0) problems.field("distill", "steps is 0: leave distill out");
    if (distill && distill->estimator && keeps_positions()) {
        const auto refuse = [&](std::string_view what, const std::string& there, const std::string& here) {
            problems.field("distill",
                           "mapping.start is learned: that wants learn, with the same {} ({} there, {} here)",
                           what, there, here);
        };
        const std::string here = distill->estimator->name();
        if (!learn || learn->estimator.name() != here)
            refuse("estimator", learn ? learn->estimator.name() : "none", here);
        else if (const std::string left = learn->estimator.make()->position_options(),
                 taken = distill->estimator->make()->position_options();
                 left != taken)
            refuse("options of what it keeps of a weight", left, taken);
    }
    if (solver_target == SolverTarget::original_output && solver_inputs != Inputs::compressed)
        problems.field("solver_target",
                       "original_output has a meaning only where inputs differ from the original's: set "
                       "solver_inputs: compressed");
    if (output_weighting && !method_needs().second_moments)
        problems.field("output_weighting",
                       "nothing reads the weighted second moments: codebook_init is {} and solver is {}",
                       codebook_init.name(), solver.name());
}

DataNeeds CompressOptions::method_needs() const {
    const auto method = solver.make();
    return method->starts_from_layout() ? method->needs() : codebook_init.make()->needs() | method->needs();
}

DataNeeds CompressOptions::solving_needs() const {
    DataNeeds needs = method_needs();
    if (output_weighting) needs.row_sets = output_weighting->groups;
    needs.original_moments = solver_target == SolverTarget::original_output;
    return needs;
}

DataNeeds CompressOptions::learning_needs() const {
    return learn ? learn->objective.make()->needs() : DataNeeds{};
}

bool CompressOptions::needs_calibration() const {
    return (solving_needs() | learning_needs()).any() || recalibrate_norms;
}

std::vector<std::string> CompressOptions::why_samples() const {
    std::vector<std::string> reasons;
    const auto add = [&](bool needed, std::string reason) {
        if (needed) reasons.push_back(std::move(reason));
    };
    const auto method = solver.make();
    add(!method->starts_from_layout() && codebook_init.make()->needs().any(),
        fmt::format("compress.codebook_init ({})", codebook_init.name()));
    add(method->needs().any(), fmt::format("compress.solver ({})", solver.name()));
    add(solver_target == SolverTarget::original_output, "compress.solver_target (original_output)");
    add(recalibrate_norms, "compress.recalibrate_norms");
    add(learning_needs().any(), "compress.learn");
    add(distill.has_value(), "compress.distill");
    return reasons;
}

}  // namespace jlcm
