#!/usr/bin/env bash
# llama.cpp's speed on the default model, to stand beside jlcm's: tokens/s of a prompt of 512 (head for the last token
# only, and with logits of every token, as a loop for perplexity takes them) and of generation, float32 and bfloat16
# weights, one and two threads. Each figure is the best of three; run it on a quiet machine.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"

oracle=$cache/llama.cpp/build/bin/llama-oracle
[[ -x $oracle ]] || "$root/scripts/build_llama_cpp.sh"
"$root/scripts/fetch_model.sh"
models=$cache/llama.cpp/models
mkdir -p "$models"

for type in f32 bf16; do
    model=$models/smollm2-$type.gguf
    [[ -f $model ]] && continue
    need_space "$models" 600 "the $type model"
    "$oracle" convert "$cache/models/smollm2-135m-instruct.gguf" "$model.part" $type
    mv "$model.part" "$model"
done

grep -m 1 'model name' /proc/cpuinfo
printf '| weights | threads | prompt | prompt, all logits | generation |\n|---|---|---|---|---|\n'
for type in f32 bf16; do
    for threads in 1 2; do
        "$oracle" bench "$models/smollm2-$type.gguf" $threads |
            awk -v type=$type '{ printf "| %s | %s | %s | %s | %s |\n", type, $2, $6, $8, $10 }'
    done
done
