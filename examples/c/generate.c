/* Opens a model or an artifact, says what is in it, and goes on with a prompt as the text comes. */
#include "core/c_api/jlcm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print(const char *text, size_t bytes, void *user) {
    size_t *printed = user;
    *printed += bytes;
    return fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0 ? 0 : 1;
}

/* The values of the first matrix, decoded: their mean square. */
static jlcm_status mean_square(const jlcm_model *model, const jlcm_tensor *tensor, double *result) {
    size_t count = 1;
    for (size_t d = 0; d < tensor->rank; ++d) count *= (size_t)tensor->shape[d];
    float *values = malloc(count * sizeof *values);
    if (values == NULL) return JLCM_ERROR_SYSTEM;
    const jlcm_status status = jlcm_decode(model, tensor->name, values, count);
    double sum = 0;
    for (size_t i = 0; status == JLCM_OK && i < count; ++i) sum += (double)values[i] * values[i];
    free(values);
    *result = sum / (double)count;
    return status;
}

static jlcm_status perplexity(const jlcm_model *model, const char *text) {
    int32_t ids[256];
    double likelihoods[256];
    size_t count = 0;
    jlcm_status status = jlcm_tokenize(model, text, ids, 256, &count);
    if (status != JLCM_OK || count < 2) return status;
    if (count > 256) count = 256;
    status = jlcm_log_likelihoods(model, ids, count, likelihoods);
    double sum = 0;
    for (size_t i = 0; status == JLCM_OK && i + 1 < count; ++i) sum += likelihoods[i];
    if (status == JLCM_OK) printf("%zu tokens, %.4f nats a token\n", count, -sum / (double)(count - 1));
    return status;
}

/* How likely the prompt's second half is behind its first, and whether the model would write it. */
static jlcm_status continuation(const jlcm_model *model, const char *text) {
    char context[64] = "";
    snprintf(context, sizeof context, "%.*s", (int)(strlen(text) / 2), text);
    int32_t ids[256];
    jlcm_continuation tokens = {ids, 0, 0};
    jlcm_status status = jlcm_encode_continuation(model, context, text + strlen(context), 0, ids, 256, &tokens.count,
                                                  &tokens.begin);
    if (status != JLCM_OK || tokens.count > 256) return status;
    double likelihood = 0;
    int greedy = 0;
    status = jlcm_score_continuations(model, &tokens, 1, JLCM_COMPUTE_FLOAT32, &likelihood, &greedy);
    if (status == JLCM_OK) printf("second half: %.4f nats%s\n", -likelihood, greedy ? ", most likely" : "");
    return status;
}

static jlcm_status work(const jlcm_model *model, const char *prompt) {
    jlcm_tensor tensor = {0};
    printf("%s: %zu tensors\n", jlcm_description(model), jlcm_tensor_count(model));
    for (size_t i = 0; i < jlcm_tensor_count(model); ++i) {
        jlcm_status status = jlcm_tensor_at(model, i, &tensor);
        if (status != JLCM_OK) return status;
        if (tensor.rank != 2) continue;
        double mean = 0;
        status = mean_square(model, &tensor, &mean);
        if (status != JLCM_OK) return status;
        printf("%s, %s: mean square %.6f\n", tensor.name, tensor.held, mean);
        break;
    }
    jlcm_vocabulary vocabulary;
    jlcm_status status = jlcm_vocabulary_of(model, &vocabulary);
    if (status != JLCM_OK) return status;
    printf("%d tokens in the vocabulary, %lld in a text\n", vocabulary.size, (long long)vocabulary.max_positions);
    status = perplexity(model, prompt);
    if (status == JLCM_OK) status = continuation(model, prompt);
    if (status != JLCM_OK) return status;
    jlcm_generation options;
    jlcm_generation_defaults(&options);
    options.max_tokens = 40;
    options.exact = 1;
    size_t printed = 0;
    char *text = NULL;
    fputs(prompt, stdout);
    status = jlcm_generate(model, prompt, &options, print, &printed, &text);
    if (status == JLCM_OK) printf("\n%zu bytes\n", printed);
    jlcm_text_free(text);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: generate MODEL PROMPT\n");
        return JLCM_ERROR_INPUT;
    }
    jlcm_model *model = NULL;
    jlcm_status status = jlcm_open(argv[1], &model);
    if (status == JLCM_OK) status = work(model, argv[2]);
    if (status != JLCM_OK) fprintf(stderr, "%s\n", jlcm_error());
    jlcm_close(model);
    return (int)status;
}
