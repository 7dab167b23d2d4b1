"""Artifacts in PyTorch and in Hugging Face's transformers: the same values, the same logits, trained and written back."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import ASSETS, SOURCE, call, need_assets, run_directory

need_packages("numpy", "torch", "transformers")
need_assets()
import jlcm
import jlcm.torch
import jlcm.transformers
import numpy as np
import torch
from drawn_matrix import drawn

torch.manual_seed(0)
SPEC = """version: 1
name: tiny
model: {{source: {model}}}
compute: float32
calibration: {{dataset: {text}, sequences: 8, length: 24}}
compress: {{bits: 3, grouping: {grouping}, codebook_init: kmeans, solver: {solver}}}
evaluate: []
"""
text = Path("text.txt").resolve()
text.write_text("".join(f"Line {i}: the {i * i}th of {i + 7} words, and then another one. " for i in range(300)))


def compressed(model, grouping="per_row", solver="nearest_codeword"):
    shutil.rmtree("out", ignore_errors=True)
    Path("spec.yaml").write_text(SPEC.format(model=model, text=text, grouping=grouping, solver=solver))
    call("jlcm-run", "spec.yaml", "--out", "out")
    return run_directory("out") / "artifact.safetensors"


def decoded():
    """Look-ups decode every layout to the format's values, to the bit, and matrices come back."""
    random = np.random.default_rng(3)
    for _ in range(60):
        matrix, _ = drawn(random, 24, 48)
        module = jlcm.torch.PackedMatrix(matrix)
        assert module.decode().detach().numpy().tobytes() == matrix.decode().tobytes(), matrix.layout
        again = module.to_matrix()
        assert np.array_equal(again.packed, matrix.packed) and np.array_equal(again.codebooks, matrix.codebooks)
        if matrix.layout.dimension == 1:
            with torch.no_grad():
                module.codebooks.neg_()  # the order of codewords turns
            turned = module.to_matrix()
            turned.validate()
            expected = module.decode().detach().numpy()
            assert np.array_equal(turned.decode(), expected), matrix.layout


def gradients():
    """Those of codebooks, scales and offsets are those of finite differences."""
    random = np.random.default_rng(4)
    step = 1e-4
    for _ in range(6):
        matrix, _ = drawn(random, 6, 8)
        module = jlcm.torch.PackedMatrix(matrix).double()
        weights = torch.randn(6, 8, dtype=torch.float64)
        (module.decode() * weights).sum().backward()
        for name, parameter in module.named_parameters():
            flat = parameter.data.reshape(-1)
            for i in random.choice(flat.numel(), min(8, flat.numel()), replace=False):
                sides = []
                for change in (step, -2 * step):
                    flat[i] += change
                    sides.append((module.decode() * weights).sum().item())
                flat[i] += step
                assert abs((sides[0] - sides[1]) / (2 * step) - parameter.grad.reshape(-1)[i].item()) < 1e-6, name


def logits(model, ids):
    made = model(input_ids=torch.from_numpy(ids.astype(np.int64)))
    return (made.logits if hasattr(made, "logits") else made.last_hidden_state).detach().numpy()


def families():
    for name in ("gpt2", "opt", "qwen2", "phi3", "gpt_neox", "llama_biased", "bert", "stories260k"):
        own = ASSETS / "lm/stories260k" if name == "stories260k" else SOURCE / "tests/golden/transformers" / name
        artifact = compressed(own, "{type: distribution, groups: 3}")
        opened = jlcm.open(artifact)
        ids = np.stack(
            [
                opened.encode("The 25th of 12 words, and another")[:12],
                opened.encode("Line after line of the words")[:12],
            ]
        )
        ours = next(iter(opened.run(ids=ids).values()))
        for packed in (True, False):
            model, tokenizer = jlcm.transformers.load(artifact, packed=packed)
            assert any(isinstance(each, jlcm.torch.PackedLinear) for each in model.modules()) == packed
            difference = np.abs(logits(model, ids) - ours).max()
            assert difference < 1e-4, (name, packed, difference)
            jlcm.torch.save("same.safetensors", model, artifact)
            assert Path("same.safetensors").read_bytes() == artifact.read_bytes(), name
            assert tokenizer("the words", add_special_tokens=False).input_ids == list(opened.encode("the words")), name
        if name != "bert":
            assert model.generate(torch.tensor(ids[:1].astype(np.int64)), max_new_tokens=4, do_sample=False).shape == (
                1,
                16,
            )
        state = jlcm.torch.state_dict(artifact)
        plain = {key: value for key, value in model.state_dict().items() if key in state}
        assert plain.keys() == state.keys() and all(torch.equal(plain[key], state[key]) for key in state), name


def fused_bias():
    """A head's rows of queries, keys and values lie together in the files, and apart in an artifact."""
    artifact = compressed(SOURCE / "tests/golden/transformers/gpt_neox")
    model, _ = jlcm.transformers.load(artifact)
    fused = model.get_submodule("gpt_neox.layers.1.attention.query_key_value")
    with torch.no_grad():
        fused.bias += torch.randn(72)
    jlcm.torch.save("biased.safetensors", model, artifact)
    opened = jlcm.open("biased.safetensors")
    key = opened["gpt_neox.layers.1.attention.query_key_value.key.bias"].decode()
    assert np.array_equal(key, fused.bias.detach().numpy().reshape(4, 3, 6)[:, 1].reshape(-1))
    ids = np.array([opened.encode("The 25th of 12 words, and another")[:12]])
    assert np.abs(logits(model, ids) - next(iter(opened.run(ids=ids).values()))).max() < 1e-4


def trained():
    """Somebody else fine-tunes codebooks and scales, and writes them back."""
    artifact = compressed(ASSETS / "lm/stories260k", "{type: distribution, groups: 8, parts: scales}")
    model, _ = jlcm.transformers.load(artifact)
    opened = jlcm.open(artifact)
    text = "Once upon a time there was a little girl who lived in a house with her mother. She loved to play outside."
    ids = torch.from_numpy(opened.tokenize(text).astype(np.int64))[None]
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=3e-3)
    losses = []
    for _ in range(12):
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0], losses
    jlcm.torch.save("tuned.safetensors", model, artifact)
    tuned = jlcm.open("tuned.safetensors")
    ours = -tuned.log_likelihoods(ids[0].numpy()).mean()
    theirs = model(input_ids=ids, labels=ids).loss.item()
    assert abs(ours - theirs) < 0.01, (ours, theirs)  # values are rounded to float16
    name = "model.layers.0.mlp.up_proj.weight"
    assert np.array_equal(np.sort(np.unique(tuned[name].codes)), np.sort(np.unique(opened[name].codes)))
    assert tuned[name].decode().tobytes() == tuned.artifact.decode(name).tobytes() != opened[name].decode().tobytes()


decoded()
gradients()
families()
fused_bias()
trained()
