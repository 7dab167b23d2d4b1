#include "core/experiment/calibration.hpp"

#include "core/base/interrupt.hpp"
#include "core/text/tokens.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

Tensor to_tensor(const std::vector<std::span<const std::int32_t>>& windows, std::int64_t length) {
    Tensor ids = Tensor::empty({static_cast<std::int64_t>(windows.size()), length}, DType::i32);
    auto* out = ids.data<std::int32_t>();
    for (const auto& window : windows) out = std::ranges::copy(window, out).out;
    return ids;
}

/// Calls `body(first, end)` for some sequences at a time.
template <class Body>
void by_sequences(const Shape& shape, Body body) {
    const std::int64_t step = std::max<std::int64_t>(1, calibration_tokens_per_step / shape[1]);
    for (std::int64_t first = 0; first < shape[0]; first += step) {
        throw_if_interrupted();
        body(first, std::min(shape[0], first + step));
    }
}

}  // namespace

nlohmann::json CalibrationTexts::describe() const {
    auto json = nlohmann::json::array();
    for (std::size_t i = 0; i < texts.size(); ++i)
        json.push_back({{"text", texts[i].name}, {"text_sha256", texts[i].sha256}, {"share", shares[i]}});
    return json;
}

CalibrationTexts load_calibration_texts(const CalibrationOptions& options, const Directories& directories) {
    CalibrationTexts result;
    for (const DatasetChoice& choice : options.dataset)
        result.texts.push_back(choice.make()->load(directories));
    result.shares = options.shares;
    result.shares.resize(result.texts.size(), 1.0);
    return result;
}

CalibrationWindows draw_windows(const RunSpec& spec, const CalibrationTexts& texts,
                                const Tokenizer& tokenizer) {
    std::vector<TokenizedText> tokenized;
    for (const TextData& text : texts.texts) tokenized.push_back(tokenize(text, tokenizer));
    std::vector<const TokenizedText*> views;
    for (const TokenizedText& text : tokenized) views.push_back(&text);

    const CalibrationOptions& options = spec.calibration;
    const WindowSampler sampler(views, texts.shares, options.length, spec.seed);
    CalibrationWindows windows;
    windows.calibration = to_tensor(sampler.windows(0, options.sequences), options.length);
    windows.distinct_tokens = sampler.distinct_tokens(options.sequences);
    if (const auto& distill = spec.compress.distill) {
        const std::int64_t count = distill->steps * distill->batch;
        const std::int64_t length = distill->length.value_or(options.length);
        if (length == options.length) {
            windows.distillation = to_tensor(sampler.windows(options.sequences, count), length);
            windows.distinct_tokens = sampler.distinct_tokens(options.sequences + count);
        } else {
            const WindowSampler other(views, texts.shares, length, spec.seed + 1);
            windows.distillation = to_tensor(other.windows(0, count), length);
            windows.distinct_tokens = std::max(windows.distinct_tokens, other.distinct_tokens(count));
        }
    }
    return windows;
}

Tensor first_activations(const Executor& executor, const WeightSource& model, const Tensor& windows) {
    const Graph& graph = executor.graph();
    const Block& first_block = graph.blocks().front();
    Weights weights(graph);
    bind_weights(weights, model, graph.prologue(), executor.compute(), executor.backend());
    const Shape inferred = graph.infer(windows.shape())[static_cast<std::size_t>(first_block.input)];
    Tensor activations = Tensor::empty(inferred);
    by_sequences(windows.shape(), [&](std::int64_t first, std::int64_t end) {
        const Tensor part = executor.forward(graph.prologue(), weights, graph.input(),
                                             windows.slice(first, end), first_block.input);
        std::ranges::copy(part.bytes(), activations.slice(first, end).bytes().begin());
    });
    return activations;
}

void advance(const Executor& executor, const Block& block, const Weights& weights, Tensor& activations,
             const LinearObserver& observer, std::int64_t observed) {
    by_sequences(activations.shape(), [&](std::int64_t first, std::int64_t end) {
        // A step that holds the last observed sequence is cut there.
        const std::int64_t middle = std::clamp(observer ? observed : 0, first, end);
        for (const auto& [from, to] : {std::pair(first, middle), std::pair(middle, end)}) {
            if (from == to) continue;
            Tensor part = activations.slice(from, to);
            const Tensor output =
                executor.forward(block, weights, part, nullptr, to <= middle ? observer : LinearObserver());
            std::ranges::copy(output.bytes(), part.bytes().begin());
        }
    });
}

LinearObserver SecondMoments::observer() {
    return [this](NodeId node, const Tensor& input) {
        add_weighted(node, input);
        const ValueId value = executor_->graph().node(node).inputs[0];
        Sum& sum = sums_[value];
        if (sum.first_reader < 0) {
            sum.first_reader = node;
            sum.matrix = Tensor::zeros({input.shape().back(), input.shape().back()});
        }
        if (sum.first_reader != node) return;
        executor_->backend().accumulate_gram(input, sum.matrix);
        sum.samples += input.size() / input.shape().back();
    };
}

void SecondMoments::add_weighted(NodeId node, const Tensor& input) {
    if (gradients_ == nullptr) return;
    const auto found = gradients_->token_weights.find(node);
    if (found == gradients_->token_weights.end()) return;
    const Tensor& weights = found->second;
    const std::int64_t width = input.shape().back();
    const std::int64_t tokens = input.size() / width;
    WeightedSum& sum = weighted_[node];
    if (sum.matrices.empty())
        for (std::int64_t q = 0; q < weights.cols(); ++q)
            sum.matrices.push_back(Tensor::zeros({width, width}));
    ensure(sum.tokens + tokens <= weights.rows(), "weights of {} tokens, and there are more", weights.rows());
    Backend& backend = executor_->backend();
    std::vector<float> factors(static_cast<std::size_t>(tokens));
    for (std::int64_t q = 0; q < weights.cols(); ++q) {
        for (std::int64_t t = 0; t < tokens; ++t)
            factors[static_cast<std::size_t>(t)] =
                std::sqrt(weights.data<float>()[(sum.tokens + t) * weights.cols() + q]);
        backend.accumulate_gram(backend.scale_rows(input, factors),
                                sum.matrices[static_cast<std::size_t>(q)]);
    }
    sum.tokens += tokens;
}

std::vector<Tensor> SecondMoments::weighted(NodeId node) const {
    const auto found = weighted_.find(node);
    return found == weighted_.end() ? std::vector<Tensor>() : found->second.matrices;
}

const SecondMoments::Sum& SecondMoments::sum(NodeId node) const {
    const auto found = sums_.find(executor_->graph().node(node).inputs[0]);
    ensure(found != sums_.end(), "no second moments for node {}", executor_->graph().node(node).name);
    return found->second;
}

const Tensor& SecondMoments::matrix(NodeId node) const {
    return sum(node).matrix;
}

std::int64_t SecondMoments::samples(NodeId node) const {
    return sum(node).samples;
}

}  // namespace jlcm
