"""Every family of transformers from a Hugging Face folder through the whole run: re-ordered, solved, learned, distilled
(decoders), packed, opened again, generated from, exported to a folder that opens as the same model, here and (if there is one)
in Hugging Face's transformers."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, result, run_directory

MODELS = SOURCE / "tests/golden/transformers"
SPEC = """
version: 1
name: tiny
model: {{source: {model}}}
compute: float32
calibration: {{dataset: {text}, sequences: 16, length: 24}}
compress:
  bits: 3
  grouping: {{type: distribution, groups: 2, parts: codebooks}}
  reorder: {{residual: {residual}}}
  codebook_init: kmeans
  solver: {{type: lnq, rounds: 2}}
  learn: {{steps: 4, batch: 4, estimator: nearest}}
{more}
evaluate:
  - {evaluation}
"""
PERPLEXITY = {"type": "perplexity", "context": 24, "windows": 8}
EMBEDDING = {"type": "embedding", "length": 24, "windows": 8}
text = Path("text.txt").resolve()
text.write_text("".join(f"Line {i}: the {i * i}th of {i + 7} words, and then another one. " for i in range(300)))


def figure(model, evaluation, *more):
    sets = [part for key, value in evaluation.items() if key != "type" for part in ("--set", f"{key}={value}")]
    call("jlcm-eval", model, "--task", evaluation["type"], "--dataset", text, *sets, "--compute", "float32",
         "--json", "eval.json", *more)
    return json.loads(Path("eval.json").read_text())["compressed"]


def perplexity_of_transformers(folder):
    """Over the windows of PERPLEXITY; none without the library."""
    try:
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
    except ImportError:
        return None
    torch.set_num_threads(1)
    length, windows = PERPLEXITY["context"], PERPLEXITY["windows"]
    ids = Tokenizer.from_file(f"{folder}/tokenizer.json").encode(text.read_text(), add_special_tokens=False).ids
    ids = torch.tensor(ids[:length * windows]).reshape(windows, length)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").float().eval()
    with torch.no_grad():
        logits = model(input_ids=ids).logits[:, :-1].double()
    return float(torch.exp(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())))


BOTH = ("gpt2", "opt", "qwen2", "llama_biased", "bert")  # orders of the residual stream
FAMILIES = BOTH + ("mistral", "qwen3", "phi3", "gemma2", "gemma3", "gpt_neox", "olmo2", "mixtral", "qwen3_moe")
IN_GGUF = ("gpt2", "qwen2", "llama_biased", "phi3", "gpt_neox", "olmo2", "mixtral")  # the others' configurations cannot be said there
for name in FAMILIES:
    is_encoder = name == "bert"
    evaluation = {**(EMBEDDING if is_encoder else PERPLEXITY)}
    in_spec = json.dumps({**evaluation, "dataset": str(text)})
    distill = "  distill: {steps: 3, batch: 2, norm_rate: 1e-3}"
    for residual in ("false", "true") if name in BOTH else ("true",):
        spec = Path(f"{name}.yaml")
        values = {"model": MODELS / name, "text": text, "residual": residual, "evaluation": in_spec}
        spec.write_text(SPEC.format(**values, more="" if is_encoder else distill))
        shutil.rmtree("out", ignore_errors=True)
        call("jlcm-run", spec, "--out", "out")
        record = result("out")
        (measured,) = record["evaluations"]
        assert record["footprint"]["bytes"]["permutation"] == 0, record
        assert measured["compressed"] > 0.9 if is_encoder else measured["compressed"] < 1.5 * measured["original"], measured

        artifact = run_directory("out") / "artifact.safetensors"
        original = ("--original", MODELS / name)
        again = figure(artifact, evaluation, *original)
        assert abs(again / measured["compressed"] - 1) < 1e-6, (name, again, measured["compressed"])
        shutil.rmtree("model", ignore_errors=True)
        call("jlcm-export", artifact, "--format", "hf", "--type", "f32", "model")
        exported = figure("model", evaluation, *original)
        assert abs(exported / again - 1) < 1e-6, (name, exported, again)
        if not is_encoder:
            theirs = perplexity_of_transformers("model")
            assert theirs is None or abs(theirs / again - 1) < 1e-4, (name, theirs, again)
            made = [call("jlcm-generate", path, "Line 7", "--max-tokens", 8, "--compute", "float32",
                         "--cache", "float32")[0] for path in (artifact, "model")]
            assert made[0] == made[1] != "", (name, made)
        print(f"{name}, residual {residual}: {measured['metric']} {again:.4f} of {measured['original']:.4f}")
    if is_encoder:
        spec.write_text(SPEC.format(**values, more=distill))
        _, said = call("jlcm-run", spec, "--out", "refused", code=2)
        assert "encoder" in said and not Path("refused").exists(), said
    _, said = call("jlcm-export", artifact, "--format", "gguf", "--lossy-tokenizer", "model.gguf", code=0 if name in IN_GGUF else 2)
    assert name in IN_GGUF or ("cannot be exported as GGUF" if name in ("bert", "opt", "mistral") else "GGUF cannot say all") in said, said
    printed, _ = call("jlcm-inspect", MODELS / name, "--permutations")
    assert "any order" in printed and "absorbed" in printed, printed
