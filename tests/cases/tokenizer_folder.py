"""A model whose tokenizer has more tokens than its embedding has rows, and files that contradict each other: what is used
counts, and what cannot be used is said before anything is computed."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call

model = Path("model")
shutil.rmtree(model, ignore_errors=True)
shutil.rmtree("out", ignore_errors=True)
shutil.copytree(SOURCE / "tests/golden/transformers/qwen2", model)
definition = json.loads((model / "tokenizer.json").read_text())
rows = json.loads((model / "config.json").read_text())["vocab_size"]
added = {"content": "<beyond>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
definition["model"]["vocab"] |= {f"<filler {i}>": i for i in range(len(definition["model"]["vocab"]), rows)}
(model / "tokenizer.json").write_text(json.dumps(definition))
(model / "tokenizer_config.json").write_text(json.dumps({
    "tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {str(rows + 7): added}}))

Path("plain.txt").write_text("abcd efgh " * 200)
Path("with.txt").write_text("abcd <beyond> efgh " * 200)


def spec(name, calibration, evaluation):
    Path(name).write_text(f"""version: 1
model: {{source: model}}
calibration: {{dataset: {calibration}, sequences: 2, length: 8}}
compress: {{bits: 4, solver: nearest_codeword, codebook_init: {{type: kmeans, weights: input_second_moment}}}}
evaluate: [{{type: perplexity, dataset: {evaluation}, context: 8}}]
""")
    return name


_, said = call("jlcm-eval", model, "--dataset", "plain.txt", "--context", 8)
assert "is said to have the id" in said, said
for name in (spec("calibrate.yaml", "with.txt", "plain.txt"), spec("evaluate.yaml", "plain.txt", "with.txt")):
    for arguments in (["--dry-run"], []):
        _, said = call("jlcm-run", name, "--out", "out", *arguments, code=2)
        assert '"<beyond>"' in said and f"{rows} rows" in said, said
        assert not Path("out").exists(), "a refused run made a directory"
_, said = call("jlcm-eval", model, "--dataset", "with.txt", "--context", 8, code=2)
assert '"<beyond>"' in said and "with.txt" in said, said

(model / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"x": {"content": "a"}}, "legacy": 3}')
_, said = call("jlcm-eval", model, "--dataset", "plain.txt", "--context", 8, code=2)
assert "added_tokens_decoder" in said and "'legacy' is 3" in said, said
print("tokenizers of folders")
