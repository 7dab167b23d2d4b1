/* jlcm.h - models and compressed artifacts from C.
 *
 * A function that can fail returns a jlcm_status; if that is not JLCM_OK, jlcm_error() describes what happened on
 * this thread, and what was to be written is left as it was. Strings are UTF-8 and end with a zero byte.
 *
 * A model is immutable: all functions that take a `const jlcm_model *` may be called on it from several threads at
 * once. Pointers that functions return live as long as the model, unless something else is said.
 */
#ifndef JLCM_H
#define JLCM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define JLCM_EXPORT __attribute__((visibility("default")))
#else
#define JLCM_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when functions or fields are added at an end, and jumps to the next hundred when something is changed. */
#define JLCM_API_VERSION 2
JLCM_EXPORT int jlcm_api_version(void);
/* Of the library, e.g. "0.3.0". */
JLCM_EXPORT const char *jlcm_version(void);

typedef enum {
    JLCM_OK = 0,
    JLCM_ERROR_INTERNAL = 1,  /* a fault of the library */
    JLCM_ERROR_INPUT = 2,     /* a file or an argument is wrong */
    JLCM_ERROR_SYSTEM = 3,    /* the machine refused: memory, permissions */
    JLCM_ERROR_STOPPED = 130  /* a callback stopped the work, or a signal */
} jlcm_status;
/* What went wrong last on this thread; empty if nothing did. Lives until the next call on this thread. */
JLCM_EXPORT const char *jlcm_error(void);

/* Threads that all work uses from now on; 0: as many as there are cores. */
JLCM_EXPORT jlcm_status jlcm_set_threads(int threads);

/* ---- models ------------------------------------------------------------------------------------------------ */

typedef struct jlcm_model jlcm_model;

/* Opens an artifact (*.safetensors), a GGUF file or a Hugging Face folder. Codes stay in the mapped file: opening
 * reads headers and codebooks. jlcm_close(NULL) does nothing. */
JLCM_EXPORT jlcm_status jlcm_open(const char *path, jlcm_model **model);
JLCM_EXPORT void jlcm_close(jlcm_model *model);
/* "artifact", "GGUF v3, Q4_1, F32, Q8_0", ... */
JLCM_EXPORT const char *jlcm_description(const jlcm_model *model);
/* The configuration (the keys of config.json) and how an artifact was made, as JSON. */
JLCM_EXPORT const char *jlcm_config(const jlcm_model *model);
JLCM_EXPORT const char *jlcm_provenance(const jlcm_model *model);
/* What the model computes, as JSON: parameters by name, role and shape, and operators in their order
 * (core/graph/graph_json.hpp). */
JLCM_EXPORT const char *jlcm_graph(const jlcm_model *model);

/* ---- tensors ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    const char *role;      /* "attention.query", "norm", ... */
    const char *held;      /* "packed 2-bit codes", "Q8_0", ...; "dense" for vectors */
    const int64_t *shape;  /* row-major */
    size_t rank;
} jlcm_tensor;

/* The model's parameters, in the order in which it reads them. */
JLCM_EXPORT size_t jlcm_tensor_count(const jlcm_model *model);
JLCM_EXPORT jlcm_status jlcm_tensor_at(const jlcm_model *model, size_t index, jlcm_tensor *tensor);
/* Its values in float32, `count` of them, which is the product of its shape. */
JLCM_EXPORT jlcm_status jlcm_decode(const jlcm_model *model, const char *name, float *values, size_t count);

/* ---- text --------------------------------------------------------------------------------------------------- */

/* The ids of a text, as a prompt begins: with a token that begins texts if the model wants one. Writes at most
 * `capacity` ids, and to `count` how many there are; with a capacity of 0 `ids` may be NULL. */
JLCM_EXPORT jlcm_status jlcm_tokenize(const jlcm_model *model, const char *text, int32_t *ids, size_t capacity,
                                      size_t *count);
/* The text of ids; `text` as above: at most `capacity` bytes, which do not end with a zero, `bytes` how many. */
JLCM_EXPORT jlcm_status jlcm_detokenize(const jlcm_model *model, const int32_t *ids, size_t count, char *text,
                                        size_t capacity, size_t *bytes);

/* The ids of a text as it stands, with nothing in front; `ids` and `count` as above. Since version 2. */
JLCM_EXPORT jlcm_status jlcm_encode(const jlcm_model *model, const char *text, int32_t *ids, size_t capacity,
                                    size_t *count);

typedef struct {
    int32_t size;           /* ids are below */
    int32_t begin;          /* the token that begins texts; -1: none is named */
    int32_t end;            /* the token that ends texts; -1: none is named */
    int64_t max_positions;  /* most tokens that the model reads at once */
    const char *sha256;     /* of the data that defines the tokenizer */
} jlcm_vocabulary;
/* Since version 2. */
JLCM_EXPORT jlcm_status jlcm_vocabulary_of(const jlcm_model *model, jlcm_vocabulary *vocabulary);

/* The files about text of the model's Hugging Face folder: tokenizer, chat templates, generation_config.json. Those of
 * the folder that it came from, byte for byte; of a GGUF file what `jlcm-export` makes of it. Since version 2. */
typedef struct {
    const char *name;
    const char *bytes;
    size_t size;
} jlcm_file;
JLCM_EXPORT jlcm_status jlcm_text_file_count(const jlcm_model *model, size_t *count);
JLCM_EXPORT jlcm_status jlcm_text_file_at(const jlcm_model *model, size_t index, jlcm_file *file);

/* ---- one forward --------------------------------------------------------------------------------------------- */

typedef enum { JLCM_FLOAT32 = 0, JLCM_INT32 = 1 } jlcm_type;

typedef struct {
    const char *name;
    jlcm_type type;
    const int64_t *shape;
    size_t rank;
    const void *data;
} jlcm_value;

/* What a forward made; its values live until it is freed. */
typedef struct jlcm_outputs jlcm_outputs;

/* The names of what a model reads and returns: "ids" and "logits" of a language model, those of an ONNX file. */
JLCM_EXPORT size_t jlcm_input_count(const jlcm_model *model);
JLCM_EXPORT const char *jlcm_input_name(const jlcm_model *model, size_t index);
/* Runs the model on named inputs: ids int32 [sequences, length], or float32 as an ONNX file takes it. Products are
 * made of float32, and are those of the decoded weights. */
JLCM_EXPORT jlcm_status jlcm_run(const jlcm_model *model, const jlcm_value *inputs, size_t count,
                                 jlcm_outputs **outputs);
JLCM_EXPORT size_t jlcm_output_count(const jlcm_outputs *outputs);
JLCM_EXPORT jlcm_status jlcm_output_at(const jlcm_outputs *outputs, size_t index, jlcm_value *value);
JLCM_EXPORT void jlcm_outputs_free(jlcm_outputs *outputs);

/* log p(ids[i] | those before), in nats, to values[i - 1] for i from 1 to count - 1: what perplexity and
 * likelihoods are made of. */
JLCM_EXPORT jlcm_status jlcm_log_likelihoods(const jlcm_model *model, const int32_t *ids, size_t count,
                                             double *values);

/* Tokens of which those from `begin` (at least 1) on are scored, given all before. */
typedef struct {
    const int32_t *ids;
    size_t count;
    size_t begin;
} jlcm_continuation;

/* What products are made of: float32; bfloat16, summed in float32; or bfloat16 if the processor multiplies it, else
 * float32, which is the programs' default. */
typedef enum { JLCM_COMPUTE_AUTO = 0, JLCM_COMPUTE_FLOAT32 = 1, JLCM_COMPUTE_BFLOAT16 = 2 } jlcm_compute;

/* The tokens of a context and of what continues it, as lm-evaluation-harness makes them and jlcm-eval scores them:
 * white space at the context's end belongs to the continuation, both are tokenized as one text, and a context that is
 * too long loses tokens at its beginning. `begin_token` not 0: the token that begins texts stands in front. `ids` and
 * `count` as for jlcm_tokenize; `begin`: where the continuation starts. Since version 2. */
JLCM_EXPORT jlcm_status jlcm_encode_continuation(const jlcm_model *model, const char *context,
                                                 const char *continuation, int begin_token, int32_t *ids,
                                                 size_t capacity, size_t *count, size_t *begin);
/* Of each of `count` continuations the sum of its tokens' log-probabilities, in nats, and to `greedy`, if not NULL,
 * 1 if each of its tokens is the most likely one, else 0. Texts share forwards, and several calls give the figures
 * of one call up to rounding; those of jlcm-eval are given to the bit by one call with all texts of its task. Since
 * version 2. */
JLCM_EXPORT jlcm_status jlcm_score_continuations(const jlcm_model *model, const jlcm_continuation *continuations,
                                                 size_t count, jlcm_compute compute, double *values, int *greedy);

/* ---- generation ---------------------------------------------------------------------------------------------- */

typedef struct {
    size_t size;                /* sizeof(jlcm_generation): set by jlcm_generation_defaults */
    int64_t max_tokens;         /* 0: as many as the context holds */
    int64_t context;            /* most tokens of prompt and answer; 0: what the model is made for */
    double temperature;         /* 0: the most likely token */
    int64_t top_k;              /* 0: all */
    double top_p;               /* 1: all */
    double min_p;               /* 0: all */
    double repetition_penalty;  /* 1: none */
    uint64_t seed;
    const char *const *stop;    /* texts that end the answer, `stops` of them */
    size_t stops;
    int exact;                  /* 0: packed weights by kernels on codes; 1: as the weights decode */
} jlcm_generation;
JLCM_EXPORT void jlcm_generation_defaults(jlcm_generation *options);

/* Gets each piece of the text, whole characters, `bytes` long; anything but 0 stops. */
typedef int (*jlcm_text_callback)(const char *text, size_t bytes, void *user);

/* Goes on with a prompt. `callback` may be NULL. `text`, if not NULL, receives the whole answer, which the caller
 * frees by jlcm_text_free; it is there too if the callback stopped the work. */
JLCM_EXPORT jlcm_status jlcm_generate(const jlcm_model *model, const char *prompt, const jlcm_generation *options,
                                      jlcm_text_callback callback, void *user, char **text);
/* The same for a prompt of `count` ids, before which nothing is put. Since version 2. */
JLCM_EXPORT jlcm_status jlcm_generate_ids(const jlcm_model *model, const int32_t *ids, size_t count,
                                          const jlcm_generation *options, jlcm_text_callback callback, void *user,
                                          char **text);
JLCM_EXPORT void jlcm_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
