#include "core/c_api/jlcm.h"

#include "core/backend/backend.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/formats/tokenizer_conversion.hpp"
#include "core/generate/cached_decoder.hpp"
#include "core/generate/generation.hpp"
#include "core/generate/prompt_format.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/graph/record.hpp"
#include "core/model/continuations.hpp"
#include "core/text/continuation_tokens.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <ranges>

using namespace jlcm;

namespace {

/// What every model runs on.
Backend& device() {
    return default_backend();
}

}  // namespace

struct jlcm_model {
    OpenedModel opened;
    std::string config;
    std::string provenance;
    std::vector<std::string> inputs;

    struct Tensor {
        ParameterId id;
        std::string held;
    };
    std::vector<Tensor> tensors;

    [[nodiscard]] const Graph& graph() const { return opened.weights->graph(); }
    /// As JSON, made when somebody asks for it.
    [[nodiscard]] const std::string& graph_text() const {
        std::call_once(graph_once_, [&] { graph_text_ = to_json(graph()).dump(); });
        return graph_text_;
    }
    /// Bound for forwards in float32 or bfloat16, once somebody asks for one.
    [[nodiscard]] const BoundModel& bound(DType compute = DType::f32) const {
        Bound& bound = compute == DType::bf16 ? bfloat16_ : float32_;
        std::call_once(bound.once, [&] {
            bound.model = std::make_unique<const BoundModel>(*opened.weights, compute, device());
        });
        return *bound.model;
    }

    /// All weights of an ONNX model, bound in float32 by the first forward.
    [[nodiscard]] const Weights& weights() const {
        std::call_once(weights_once_, [&] {
            weights_ = std::make_unique<Weights>(graph());
            bind_weights(*weights_, *opened.weights, {0, graph().node_count()}, DType::f32, device(),
                         Binding::packed);
        });
        return *weights_;
    }

    /// Name and content of each file about text.
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& text_files() const {
        std::call_once(text_files_once_, [&] {
            for (auto& [name, content] : huggingface_tokenizer(*opened.checkpoint))
                text_files_.emplace_back(name, std::move(content));
        });
        return text_files_;
    }

  private:
    struct Bound {
        std::once_flag once;
        std::unique_ptr<const BoundModel> model;
    };
    mutable Bound float32_;
    mutable Bound bfloat16_;
    mutable std::once_flag graph_once_;
    mutable std::string graph_text_;
    mutable std::once_flag weights_once_;
    mutable std::unique_ptr<Weights> weights_;
    mutable std::once_flag text_files_once_;
    mutable std::vector<std::pair<std::string, std::string>> text_files_;
};

struct jlcm_outputs {
    struct Output {
        std::string name;
        Tensor values;
    };
    std::vector<Output> all;
};

namespace {

/// Thrown by a callback that wants no more.
struct Stopped {};

std::string& last_error() {
    thread_local std::string text;
    return text;
}

/// No exception leaves the library.
template <class Work>
jlcm_status guarded(Work work) {
    last_error().clear();
    try {
        work();
        return JLCM_OK;
    } catch (const Error& error) {
        last_error() = error.what();
        switch (error.kind()) {
            case ErrorKind::input:
                return JLCM_ERROR_INPUT;
            case ErrorKind::system:
                return JLCM_ERROR_SYSTEM;
            case ErrorKind::interrupted:
                return JLCM_ERROR_STOPPED;
            case ErrorKind::internal:
                break;
        }
    } catch (const Stopped&) {
        last_error() = "the callback stopped the work";
        return JLCM_ERROR_STOPPED;
    } catch (const std::bad_alloc&) {
        last_error() = "out of memory";
        return JLCM_ERROR_SYSTEM;
    } catch (const std::exception& error) {
        last_error() = error.what();
    }
    return JLCM_ERROR_INTERNAL;
}

template <class... Pointers>
void need(const Pointers*... pointers) {
    require(((pointers != nullptr) && ...), "an argument is a null pointer");
}

std::unique_ptr<jlcm_model> opened(const char* path) {
    auto model = std::make_unique<jlcm_model>();
    model->opened = open_model(path);
    model->config = model->opened.checkpoint->config.dump();
    model->provenance = model->opened.provenance.dump();
    const Graph& graph = model->graph();
    model->inputs.push_back(graph.values().front());
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        if (graph.parameter(id).tied_to < 0)
            model->tensors.push_back({id, held_as(*model->opened.weights, id)});
    }
    return model;
}

Tensor tensor_of(const jlcm_value& value) {
    need(value.shape, value.data);
    const Shape shape(value.shape, value.shape + value.rank);
    for (const std::int64_t side : shape) require(side >= 0, "an input of shape {}", to_string(shape));
    const DType type = value.type == JLCM_INT32 ? DType::i32 : DType::f32;
    Tensor tensor = Tensor::empty(shape, type);
    std::memcpy(tensor.bytes().data(), value.data, tensor.byte_count());
    return tensor;
}

/// Ids of a vocabulary, as a forward needs them.
void require_ids(const jlcm_model& model, std::span<const std::int32_t> ids) {
    const std::int32_t size = model.opened.input.need_tokenizer("ids").vocabulary_size();
    for (const std::int32_t id : ids) require(id >= 0 && id < size, "id {} of a vocabulary of {}", id, size);
}

std::vector<jlcm_outputs::Output> run(const jlcm_model& model, const Tensor& input) {
    const Graph& graph = model.graph();
    const bool reads_ids = model.opened.input.tokenizer != nullptr;
    require(input.dtype() == (reads_ids ? DType::i32 : DType::f32), "the model reads {}",
            reads_ids ? "int32" : "float32");
    if (reads_ids) {
        require(input.shape().size() == 2, "ids of shape {}: expected [sequences, length]",
                to_string(input.shape()));
        require_ids(model, input.values<std::int32_t>());
    }
    if (graph.outputs().empty()) {
        Tensor scores = model.bound().scores(input);
        Shape shape = input.shape();
        shape.resize(2);
        shape.push_back(scores.shape().back());
        return {{graph.head() >= 0 ? "logits" : "features", scores.reshape(shape)}};
    }
    (void)graph.infer(input.shape());
    const std::vector<GraphOutput>& listed = graph.outputs();
    Graph joined = graph;
    std::vector<ValueId> values;
    std::vector<Shape> shapes;
    for (const GraphOutput& output : listed) {
        values.push_back(output.value);
        shapes.push_back(sample_shape(graph, output));
    }
    const ValueId all = add_record(joined, values);
    const Executor executor(joined, device(), DType::f32);
    const auto made = [&] { return executor.forward(joined.whole(all), model.weights(), input); };
    if (listed.size() == 1) return {{listed.front().name, made()}};
    require(
        std::ranges::equal(input.shape() | std::views::drop(1), graph.input_shape() | std::views::drop(1)),
        "an input of shape {}, and the model reads {}, the first dimension being that of samples",
        to_string(input.shape()), to_string(graph.input_shape()));
    const Tensor record = made();
    std::vector<jlcm_outputs::Output> outputs;
    for (const RecordPart& part : record_parts(shapes))
        outputs.push_back({listed[outputs.size()].name, part_of(record, part)});
    return outputs;
}

GenerationOptions generation_options(const jlcm_generation& given) {
    GenerationOptions options;
    options.sampling = {.temperature = given.temperature,
                        .top_k = given.top_k,
                        .top_p = given.top_p,
                        .min_p = given.min_p,
                        .repetition_penalty = given.repetition_penalty,
                        .seed = given.seed};
    options.max_tokens = given.max_tokens;
    for (std::size_t i = 0; i < given.stops; ++i) {
        need(given.stop, given.stop[i]);
        options.stop.emplace_back(given.stop[i]);
    }
    require_valid(options.sampling);
    require(options.max_tokens >= 0, "max_tokens is {}", options.max_tokens);
    return options;
}

/// At most `capacity` of the ids, and how many there are.
void give_ids(const std::vector<std::int32_t>& all, int32_t* ids, size_t capacity, size_t* count) {
    if (capacity > 0) need(ids);
    std::copy_n(all.begin(), std::min(capacity, all.size()), ids);
    *count = all.size();
}

DType type_of(jlcm_compute compute) {
    switch (compute) {
        case JLCM_COMPUTE_AUTO:
            return device().has_bfloat16() ? DType::bf16 : DType::f32;
        case JLCM_COMPUTE_FLOAT32:
            return DType::f32;
        case JLCM_COMPUTE_BFLOAT16:
            return DType::bf16;
    }
    fail("a jlcm_compute of {}", static_cast<int>(compute));
}

std::vector<Continuation> continuations_of(const jlcm_model& model,
                                           std::span<const jlcm_continuation> given) {
    require(model.graph().head() >= 0, "the model predicts no tokens");
    const std::int64_t most = model.opened.input.max_positions;
    std::vector<Continuation> all;
    for (const jlcm_continuation& each : given) {
        need(each.ids);
        const std::span<const std::int32_t> ids(each.ids, each.count);
        require(each.begin >= 1 && each.begin < each.count && std::ssize(ids) <= most + 1,
                "continuation {}: {} ids, scored from {} on; the model reads {}", all.size(), each.count,
                each.begin, most);
        require_ids(model, ids);
        all.push_back({ids, each.begin});
    }
    return all;
}

char* copy_of(const std::string& text) {
    char* copy = static_cast<char*>(std::malloc(text.size() + 1));  // NOLINT: C frees it
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

/// Goes on with the ids that `prompt` gives.
template <class Prompt>
jlcm_status generate(const jlcm_model* model, const jlcm_generation* options, Prompt prompt,
                     jlcm_text_callback callback, void* user, char** text) {
    std::string answer;
    const jlcm_status status = guarded([&] {
        need(model, options);
        require(options->size == sizeof(jlcm_generation),
                "options of {} bytes: call jlcm_generation_defaults first", options->size);
        const GenerationOptions generation = generation_options(*options);
        const OpenedModel& opened = model->opened;
        const Tokenizer& tokenizer = opened.input.need_tokenizer("jlcm_generate");
        const PromptFormat format = prompt_format(*opened.checkpoint, tokenizer);
        const std::vector<std::int32_t> ids = prompt(format, tokenizer);
        require_prompt(ids, options->context > 0 ? options->context : opened.input.max_positions);
        Backend& backend = device();
        CachedDecoder decoder(
            *opened.weights, opened.input,
            {.compute = backend.has_bfloat16() && options->exact == 0 ? DType::bf16 : DType::f32,
             .cache = options->exact != 0 ? CacheType::f32 : CacheType::f16,
             .products = options->exact != 0 ? Products::exact : Products::fast,
             .context = options->context},
            backend);
        Generator generator(decoder, tokenizer, format.ends);
        const auto take = [&](std::string_view piece) {
            answer += piece;
            if (callback != nullptr && callback(std::string(piece).c_str(), piece.size(), user) != 0)
                throw Stopped();
        };
        (void)generator.generate(ids, generation, 0, take);
    });
    if (text == nullptr || (status != JLCM_OK && status != JLCM_ERROR_STOPPED)) return status;
    const std::string said = last_error();
    const jlcm_status copied = guarded([&] { *text = copy_of(answer); });
    if (copied != JLCM_OK) return copied;
    last_error() = said;
    return status;
}

}  // namespace

extern "C" {

int jlcm_api_version(void) {
    return JLCM_API_VERSION;
}

const char* jlcm_version(void) {
    return JLCM_VERSION;
}

const char* jlcm_error(void) {
    return last_error().c_str();
}

jlcm_status jlcm_set_threads(int threads) {
    return guarded([&] {
        require(threads >= 0, "{} threads", threads);
        set_thread_count(threads);
    });
}

jlcm_status jlcm_open(const char* path, jlcm_model** model) {
    return guarded([&] {
        need(path, model);
        *model = opened(path).release();
    });
}

void jlcm_close(jlcm_model* model) {
    delete model;  // NOLINT: C has no other owner
}

const char* jlcm_description(const jlcm_model* model) {
    return model->opened.description.c_str();
}
const char* jlcm_config(const jlcm_model* model) {
    return model->config.c_str();
}
const char* jlcm_provenance(const jlcm_model* model) {
    return model->provenance.c_str();
}

const char* jlcm_graph(const jlcm_model* model) {
    return model->graph_text().c_str();
}

size_t jlcm_tensor_count(const jlcm_model* model) {
    return model->tensors.size();
}

jlcm_status jlcm_tensor_at(const jlcm_model* model, size_t index, jlcm_tensor* tensor) {
    return guarded([&] {
        need(model, tensor);
        require(index < model->tensors.size(), "tensor {} of {}", index, model->tensors.size());
        const auto& [id, held] = model->tensors[index];
        const Parameter& parameter = model->graph().parameter(id);
        *tensor = {parameter.name.c_str(), parameter.role.c_str(), held.c_str(), parameter.shape.data(),
                   parameter.shape.size()};
    });
}

jlcm_status jlcm_decode(const jlcm_model* model, const char* name, float* values, size_t count) {
    return guarded([&] {
        need(model, name, values);
        const auto id = model->graph().find_parameter(name);
        require(id.has_value(), "the model has no tensor \"{}\"", name);
        const Tensor decoded = model->opened.weights->weight(*id);
        require(static_cast<std::size_t>(decoded.size()) == count, "{}: {} values for a tensor of {}", name,
                count, to_string(decoded.shape()));
        std::ranges::copy(decoded.values<float>(), values);
    });
}

jlcm_status jlcm_tokenize(const jlcm_model* model, const char* text, int32_t* ids, size_t capacity,
                          size_t* count) {
    return guarded([&] {
        need(model, text, count);
        const Tokenizer& tokenizer = model->opened.input.need_tokenizer("jlcm_tokenize");
        give_ids(prompt_ids(text, prompt_format(*model->opened.checkpoint, tokenizer), tokenizer), ids,
                 capacity, count);
    });
}

jlcm_status jlcm_encode(const jlcm_model* model, const char* text, int32_t* ids, size_t capacity,
                        size_t* count) {
    return guarded([&] {
        need(model, text, count);
        give_ids(model->opened.input.need_tokenizer("jlcm_encode").encode(text), ids, capacity, count);
    });
}

jlcm_status jlcm_vocabulary_of(const jlcm_model* model, jlcm_vocabulary* vocabulary) {
    return guarded([&] {
        need(model, vocabulary);
        const Tokenizer& tokenizer = model->opened.input.need_tokenizer("jlcm_vocabulary_of");
        *vocabulary = {tokenizer.vocabulary_size(), tokenizer.bos().value_or(-1),
                       tokenizer.eos().value_or(-1), model->opened.input.max_positions,
                       tokenizer.hash().c_str()};
    });
}

jlcm_status jlcm_detokenize(const jlcm_model* model, const int32_t* ids, size_t count, char* text,
                            size_t capacity, size_t* bytes) {
    return guarded([&] {
        need(model, bytes);
        if (count > 0) need(ids);
        if (capacity > 0) need(text);
        const std::string all = model->opened.input.need_tokenizer("jlcm_detokenize").decode({ids, count});
        std::copy_n(all.begin(), std::min(capacity, all.size()), text);
        *bytes = all.size();
    });
}

jlcm_status jlcm_text_file_count(const jlcm_model* model, size_t* count) {
    return guarded([&] {
        need(model, count);
        *count = model->text_files().size();
    });
}

jlcm_status jlcm_text_file_at(const jlcm_model* model, size_t index, jlcm_file* file) {
    return guarded([&] {
        need(model, file);
        const auto& files = model->text_files();
        require(index < files.size(), "file {} of {}", index, files.size());
        const auto& [name, content] = files[index];
        *file = {name.c_str(), content.data(), content.size()};
    });
}

size_t jlcm_input_count(const jlcm_model* model) {
    return model->inputs.size();
}
const char* jlcm_input_name(const jlcm_model* model, size_t index) {
    return index < model->inputs.size() ? model->inputs[index].c_str() : nullptr;
}

jlcm_status jlcm_run(const jlcm_model* model, const jlcm_value* inputs, size_t count,
                     jlcm_outputs** outputs) {
    return guarded([&] {
        need(model, inputs, outputs);
        require(count == 1 && inputs[0].name != nullptr && model->inputs.front() == inputs[0].name,
                "the model reads the input \"{}\" and no other", model->inputs.front());
        auto made = std::make_unique<jlcm_outputs>();
        made->all = run(*model, tensor_of(inputs[0]));
        *outputs = made.release();
    });
}

size_t jlcm_output_count(const jlcm_outputs* outputs) {
    return outputs->all.size();
}

jlcm_status jlcm_output_at(const jlcm_outputs* outputs, size_t index, jlcm_value* value) {
    return guarded([&] {
        need(outputs, value);
        require(index < outputs->all.size(), "output {} of {}", index, outputs->all.size());
        const auto& [name, values] = outputs->all[index];
        *value = {name.c_str(), JLCM_FLOAT32, values.shape().data(), values.shape().size(),
                  values.data<float>()};
    });
}

void jlcm_outputs_free(jlcm_outputs* outputs) {
    delete outputs;  // NOLINT: C has no other owner
}

jlcm_status jlcm_log_likelihoods(const jlcm_model* model, const int32_t* ids, size_t count, double* values) {
    return guarded([&] {
        need(model, ids, values);
        const Graph& graph = model->graph();
        require(graph.head() >= 0, "the model predicts no tokens");
        const std::span<const std::int32_t> all(ids, count);
        require_ids(*model, all);
        const std::int64_t most = model->opened.input.max_positions;
        require(count >= 2 && static_cast<std::int64_t>(count) <= most, "{} ids: expected 2 to {}", count,
                most);
        const Tensor read = Tensor::from<std::int32_t>({1, static_cast<std::int64_t>(count)}, all);
        std::vector<std::int32_t> targets(all.begin() + 1, all.end());
        targets.push_back(-1);
        const BoundModel& bound = model->bound();
        const TokenScores scores = bound.backend().score_tokens(bound.features(read), bound.head(), targets,
                                                                nullptr, nullptr, graph.head_soft_cap());
        for (std::size_t i = 0; i + 1 < count; ++i) values[i] = -static_cast<double>(scores.nll[i]);
    });
}

jlcm_status jlcm_encode_continuation(const jlcm_model* model, const char* context, const char* continuation,
                                     int begin_token, int32_t* ids, size_t capacity, size_t* count,
                                     size_t* begin) {
    return guarded([&] {
        need(model, context, continuation, count, begin);
        const ModelInput& input = model->opened.input;
        const Tokenizer& tokenizer = input.need_tokenizer("jlcm_encode_continuation");
        require(begin_token == 0 || tokenizer.bos(), "the tokenizer names no token that begins texts");
        const ContinuationTokens tokens =
            encode_continuation(tokenizer, context, continuation,
                                begin_token != 0 ? tokenizer.bos() : std::nullopt, input.max_positions);
        give_ids(tokens.ids, ids, capacity, count);
        *begin = tokens.begin;
    });
}

jlcm_status jlcm_score_continuations(const jlcm_model* model, const jlcm_continuation* continuations,
                                     size_t count, jlcm_compute compute, double* values, int* greedy) {
    return guarded([&] {
        need(model);
        if (count == 0) return;
        need(continuations, values);
        const auto all = continuations_of(*model, {continuations, count});
        std::vector<std::vector<std::int32_t>> likely;
        const auto scores =
            log_likelihoods(model->bound(type_of(compute)), all, {}, greedy == nullptr ? nullptr : &likely);
        std::ranges::copy(scores, values);
        for (std::size_t i = 0; i < likely.size(); ++i)
            greedy[i] = std::ranges::equal(likely[i], all[i].ids.subspan(all[i].begin)) ? 1 : 0;
    });
}

void jlcm_generation_defaults(jlcm_generation* options) {
    *options = {};
    options->size = sizeof(jlcm_generation);
    options->top_p = 1;
    options->repetition_penalty = 1;
}

jlcm_status jlcm_generate(const jlcm_model* model, const char* prompt, const jlcm_generation* options,
                          jlcm_text_callback callback, void* user, char** text) {
    return generate(
        model, options,
        [&](const PromptFormat& format, const Tokenizer& tokenizer) {
            need(prompt);
            return prompt_ids(prompt, format, tokenizer);
        },
        callback, user, text);
}

jlcm_status jlcm_generate_ids(const jlcm_model* model, const int32_t* ids, size_t count,
                              const jlcm_generation* options, jlcm_text_callback callback, void* user,
                              char** text) {
    return generate(
        model, options,
        [&](const PromptFormat& /*format*/, const Tokenizer& /*tokenizer*/) {
            if (count > 0) need(ids);
            require_ids(*model, {ids, count});
            return std::vector<std::int32_t>(ids, ids + count);
        },
        callback, user, text);
}

void jlcm_text_free(char* text) {
    std::free(text);  // NOLINT: by malloc
}
}
