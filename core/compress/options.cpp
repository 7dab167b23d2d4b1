#include "core/compress/options.hpp"

#include <algorithm>

namespace jlcm {

void ModelOptions::fields(Fields& v) {
    v("loader", loader, Doc{"How its files are read."});
    v("source", source,
      Doc{"A path, or the name of a model in the cache's models/ (smollm2-135m-instruct; "
          "scripts/fetch_model.sh), in JLCM_ASSETS/lm or beside a directory of JLCM_DATA."},
      Required{});
}

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
      Doc{"Tokens of a window; nothing to images. Short windows make attention cheap, long ones are closer "
          "to use.",
          "method section 7"},
      Range{2, 1 << 20});
    v("solver_sequences", solver_sequences,
      Doc{"How many of them the layer-wise stages see. None: all. Second moments need far fewer than "
          "learning does."},
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
                       "the match needs at least one of role, name, blocks, first_blocks, "
                       "last_blocks");
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
    v("objective", objective, Doc{"What is minimised.", "method section 4"});
    v("inputs", inputs,
      Doc{"The block's inputs. compressed lets each block make up for the ones before it; the targets are "
          "the original model's outputs either way."});
    BlockLearningOptions::fields(v);
}

void DistillOptions::fields(Fields& v) {
    DistillationOptions::fields(v);
    v("length", length, Doc{"Tokens of a window. None: as in calibration, and then windows are fresh ones."},
      Range{2, 1 << 20});
}

void EmbeddingOptions::fields(Fields& v) {
    v("bits", bits,
      Doc{"Bits of one code. Rows are as short as the model is wide: a codebook a row is dear above 4 bits."},
      Range{1, 8});
    v("grouping", grouping, Doc{"Which rows (tokens) share a codebook."});
    v("codebook_init", codebook_init,
      Doc{"The codebooks and the mapping. There are no calibration inputs: {type: kmeans, weights: none}."},
      Required{});
}

void OutputWeightingOptions::fields(Fields& v) {
    v("groups", groups,
      Doc{"Sets of neighbouring outputs of a layer that have second moments of their own. One is a weight a "
          "token; more tell outputs apart, each costs the calibration's products again."},
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
          "where the rest of the model absorbs it: no bytes for it. None: a matrix stores its own order.",
          "method section 3"});
    v("codebook_init", codebook_init, Doc{"The first codebooks and mapping."});
    v("solver", solver, Doc{"Improves them layer by layer, without gradients.", "method section 5"});
    v("solver_inputs", solver_inputs,
      Doc{"Whose inputs the initialiser and the solver see. original saves a pass where block learning "
          "follows, compressed is better without it.",
          "method section 7"});
    v("solver_target", solver_target, Doc{"What a layer's outputs are to be like.", "method section 4"});
    v("output_weighting", output_weighting,
      Doc{"Weight each token of the layer objective by the squared gradients of the language-model loss with "
          "respect to the layer's outputs, in the initialiser and the solver. Costs a forward and a backward "
          "of the calibration windows, and wants many tokens: a few carry most of the weight. None: all "
          "tokens "
          "count the same.",
          "GuidedQuant, arXiv 2505.07004, section 3"});
    v("recalibrate_norms", recalibrate_norms,
      Doc{"Correct the statistics of batch norms behind each solved block by what the compressed model's "
          "differ from the original's over the calibration samples.",
          "arXiv 2106.08295, section 4.3, as a difference"});
    v("blocks_together", blocks_together,
      Doc{"Consecutive blocks that are reconstructed as one: learned on the last one's output, so that they "
          "make up for each other. Takes as many times a block's memory; overrides count the model's own.",
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
      Doc{"Compress the embedding, and the head where it is not tied to it, after everything else. None: "
          "they "
          "keep their source's encoding."});
    v("overrides", overrides, Doc{"Exceptions by role, depth or name; later ones win."});
}

void CompressOptions::validate(Problems& problems) const {
    if (solver_target == SolverTarget::original_output && solver_inputs != Inputs::compressed)
        problems.field("solver_target",
                       "original_output has a meaning only where inputs differ from the original's: set "
                       "solver_inputs: compressed");
}

void RunSpec::fields(Fields& v) {
    v("version", version, Doc{"Version of this format: 1."}, Range{1, 1});
    v("name", name, Doc{"Begins the run directory's name; letters, digits, '_', '-', '.'."});
    v("seed", seed, Doc{"Of everything that is drawn. Figures of several seeds say how much is luck."});
    v("compute", compute,
      Doc{"Type that products are made of; sums and everything learned stay float32. bfloat16 is about twice "
          "as fast where the CPU has it."});
    v("checkpoint_minutes", checkpoint_minutes,
      Doc{"How often learning saves its state, so that a run that was killed goes on from there."},
      Range{0.0, 1e6});
    v("data_path", data_path, Doc{"Directories with data, before those of JLCM_DATA and the cache."});
    v("plugins", plugins,
      Doc{"Shared objects (or directories of them) with more plugins. Loading one runs its code."});
    v("model", model, Doc{"The model that is compressed."});
    v("calibration", calibration, Doc{"What calibration and learning look at."});
    v("compress", compress, Doc{"How weights become codebooks and mappings."});
    v("evaluate", evaluate, Doc{"What is measured in the end."});
}

void RunSpec::validate(Problems& problems) const {
    const bool fits = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.';
    });
    if (name.empty() || name.size() > 100 || !fits || name.front() == '.')
        problems.field("name", "\"{}\" cannot begin a directory's name; use letters, digits, '_', '-', '.'",
                       name);
    if (compress.embedding && (compress.embedding->codebook_init.make()->needs_hessian() ||
                               compress.embedding->codebook_init.make()->needs_fisher()))
        problems.field("compress",
                       "embedding.codebook_init wants calibration inputs, which the embedding does "
                       "not have; use {{type: kmeans, weights: none}}");
    if (compress.learn && compress.learn->batch > calibration.sequences)
        problems.field("compress", "learn.batch is {}, of {} calibration sequences", compress.learn->batch,
                       calibration.sequences);
}

Config identity_of(Config resolved) {
    for (const char* key : {"name", "checkpoint_minutes", "data_path", "plugins"}) resolved.erase(key);
    return resolved;
}

namespace {
const SectionRegistrar<RunSpec> section{"run", "What jlcm-run takes."};
}

}  // namespace jlcm
