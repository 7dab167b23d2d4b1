#include "core/compress/block_pass.hpp"

#include "core/base/log.hpp"
#include "core/compress/block_checkpoint.hpp"
#include "core/compress/block_learning.hpp"
#include "core/compress/block_solver.hpp"
#include "core/compress/recalibration.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>
#include <cstdio>

namespace jlcm {
namespace {

class BlockPass {
  public:
    BlockPass(const Compression& run, const CalibrationSamples& samples, CompressedModel& model,
              CompressedModel* solver_only)
        : run_(run),
          model_(model),
          solver_only_(solver_only),
          keys_(run, samples.calibration, samples.observed),
          shared_(shared_results(run)),
          data_(run, samples, model, keys_, shared_.moments),
          solver_(run, data_, keys_, shared_.solved) {
        if (run.options.learn) learning_.emplace(run, data_);
    }

    void compress(BlockRange range) {
        std::optional<Progress> progress;
        for (std::size_t b = range.first; b < range.end; ++b) {
            if (load_block(run_, b, model_, solver_only_)) continue;
            if (lacks_weights(b)) {
                log_info("block {} shares weights with a block that is compressed elsewhere, and is left", b);
                continue;
            }
            if (!progress)
                progress.emplace("compressing", static_cast<std::int64_t>(range.end - range.first), "blocks");
            progress->update(static_cast<std::int64_t>(b - range.first), fmt::format("block {}", b));
            compress_block(b);
        }
    }

  private:
    /// Whether the block reads a compressed weight of a former block that this process has not got.
    [[nodiscard]] bool lacks_weights(std::size_t index) const {
        const Block& block = run_.model.graph().blocks()[index];
        const std::vector<ParameterId> own = run_.compressed_parameters(block);
        return std::ranges::any_of(run_.model.graph().linears(block.nodes), [&](const auto& use) {
            return run_.plan.contains(use.parameter) && !model_.matrices().contains(use.parameter) &&
                   std::ranges::find(own, use.parameter) == own.end();
        });
    }

    void compress_block(std::size_t index) {
        const std::size_t metrics_begin = run_.store.metrics.position();
        const Stages stages_before = run_.store.stages;
        data_.begin(index);
        const bool learns_from_original = run_.options.learns_from(Inputs::original);
        const bool recalibrates = run_.options.recalibrate_norms;
        Tensor kept;  // the original's inputs, where calibration goes on to the outputs before they are used
        if (learns_from_original || (recalibrates && run_.options.observes(Inputs::original)))
            kept = data_.original_inputs(index).clone();

        solver_.solve(index, model_, solver_only_);
        if (recalibrates) {
            const Tensor original_inputs = kept.defined() ? kept : data_.original_inputs(index);
            const Tensor inputs = data_.compressed_inputs(index);
            const Stages::Timer timer(run_.store.stages, "calibrate");
            recalibrate_norms(data_.executor(), model_.graph().blocks()[index], run_.model, original_inputs,
                              inputs, model_);
        }
        if (!learns_from_original) kept = {};
        if (learning_) learning_->learn(index, model_, std::move(kept));
        save_block(run_, index, model_, solver_only_, metrics_begin, stages_before);
        release_kept_memory();
        leave_block_on_disk(run_, index, model_, solver_only_);
        std::filesystem::remove(run_.store.files.learning(index));
    }

    const Compression& run_;
    CompressedModel& model_;
    CompressedModel* solver_only_;
    StageKeys keys_;
    SharedResults shared_;
    BlockData data_;
    BlockSolver solver_;
    std::optional<BlockLearning> learning_;  ///< nothing: blocks are solved only
};

}  // namespace

std::string needs_former_blocks(const CompressOptions& compress) {
    if (compress.observes(Inputs::compressed)) return "compress.solver_inputs: compressed";
    if (compress.recalibrate_norms) return "compress.recalibrate_norms: true";
    if (compress.learns_from(Inputs::compressed)) return "compress.learn.inputs: compressed";
    return {};
}

BlockRange parse_blocks(const std::string& text, std::size_t blocks) {
    unsigned first = 0;
    unsigned second = 0;
    int used = 0;
    const auto is = [&](const char* format, int numbers) {
        return std::sscanf(text.c_str(), format, &first, &second, &used) ==
                   numbers &&  // NOLINT: checked below
               static_cast<std::size_t>(used) == text.size();
    };
    if (is("%u/%u%n", 2)) {
        require(first >= 1 && first <= second, "--blocks {}: parts are counted from 1", text);
        return {blocks * (first - 1) / second, blocks * first / second};
    }
    if (!is("%u-%u%n", 2)) {
        require(std::sscanf(text.c_str(), "%u%n", &first, &used) == 1 &&
                    static_cast<std::size_t>(used) == text.size(),
                "--blocks {}: write 3, 3-5, or 2/8 for the second of eight parts", text);
        second = first;
    }
    require(first <= second && second < blocks, "--blocks {}: the model has the blocks 0 to {}", text,
            blocks - 1);
    return {first, second + std::size_t{1}};
}

void compress_blocks(const Compression& run, const CalibrationSamples& samples, CompressedModel& model,
                     CompressedModel* solver_only, BlockRange blocks) {
    BlockPass(run, samples, model, solver_only).compress(blocks);
}

}  // namespace jlcm
