"""The Python package over the C interface: weights, texts, likelihoods, generation, errors."""

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages, quick_artifact
from programs import ASSETS, need_assets

need_packages("numpy")
need_assets()
import jlcm
import numpy as np

FOLDER = ASSETS / "lm/stories260k"
REFERENCE = json.loads((FOLDER / "reference.json").read_text())
PROMPT = REFERENCE["prompt"]


def refused(work, *parts):
    try:
        work()
    except jlcm.InputError as error:
        assert all(part in str(error) for part in parts), error
    else:
        raise AssertionError(f"not refused: {parts}")


def weights(path):
    model = jlcm.open(path)
    assert model.description == "artifact" and model.provenance["identity"] and model.config["model_type"] == "llama"
    name = "model.layers.1.mlp.down_proj.weight"
    weight = model[name]
    assert weight.shape == (64, 172) and weight.bits == 2 and weight.role == "mlp.down" and "2-bit" in weight.held
    assert weight.codes.shape == (1, 64, 172) and weight.codes.max() < 4 and weight.codebooks.shape == (64, 1, 4, 1)
    looked_up = weight.codebooks[np.arange(64)[:, None], 0, weight.codes[0], 0].astype(np.float32)
    assert np.array_equal(weight.decode(), looked_up)
    # Views of the mapped file, all of one mapping.
    mapped = model.artifact.tensors["model.norm.weight"].data
    while isinstance(mapped.base, np.ndarray):
        mapped = mapped.base
    for each in (weight.packed, weight.codebooks):
        assert np.shares_memory(each, mapped) and not each.flags.writeable
    assert not model["model.norm.weight"].is_compressed
    # The graph: layers one by one, and the head behind them, which shares the embedding's tensor.
    read = [model.graph["parameters"][i]["name"] for node in model.graph["nodes"] for i in node["parameters"]]
    assert read[0] == "model.embed_tokens.weight" and name in read and read[-1] == "model.norm.weight"
    assert model.graph["parameters"][model.graph["head"]["parameter"]]["name"] == read[0]
    assert model.graph["output"] == len(model.graph["nodes"])
    refused(lambda: model["model.norm.weight"].codes, "model.norm.weight", "not compressed")
    assert model.footprint.bytes.total == Path(path).stat().st_size
    return model


def texts(model):
    ids = model.tokenize(PROMPT)
    assert ids.dtype == np.int32 and ids[0] == model.vocabulary.begin and list(ids[1:]) == list(model.encode(PROMPT))
    assert model.detokenize(model.encode(PROMPT)).strip() == PROMPT and model.encode("").size == 0
    refused(lambda: model.detokenize([99999]), "99999", "512")
    refused(lambda: model.encode("a\0b"), "zero byte")


def likelihoods(model):
    ids = model.tokenize(REFERENCE["greedy_text"])[:100]
    logits = model.run(ids=ids[None])["logits"]  # its memory outlives what made it
    assert logits.shape == (1, ids.size, model.vocabulary.size) and not logits.flags.writeable
    exact = logits[0].astype(np.float64)
    exact -= np.log(np.exp(exact - exact.max(-1, keepdims=True)).sum(-1, keepdims=True)) + exact.max(-1, keepdims=True)
    expected = exact[np.arange(ids.size - 1), ids[1:]]
    assert np.abs(model.log_likelihoods(ids) - expected).max() < 1e-5

    tokens = model.encode_continuation("Once upon a time", " there was a", begin_token=True)
    assert list(tokens.ids) == list(model.tokenize("Once upon a time there was a")) and tokens.begin == 5
    (score,) = model.score([tokens], compute="float32")
    own = model.log_likelihoods(tokens.ids)[tokens.begin - 1 :].sum()
    assert abs(score.log_likelihood - own) < 1e-5
    greedy = model.encode(PROMPT + model.generate(PROMPT, max_tokens=6, exact=True))
    prompt = model.encode(PROMPT)
    ids = np.concatenate([[model.vocabulary.begin], greedy])
    likely, unlikely = model.score([jlcm.Tokens(ids, 1 + prompt.size), jlcm.Tokens(ids[::-1], 1)], compute="float32")
    assert likely.greedy and not unlikely.greedy and likely.log_likelihood > unlikely.log_likelihood
    assert model.score([]) == []
    refused(lambda: model.score([jlcm.Tokens(ids, 0)]), "scored from 0")
    refused(lambda: model.score([jlcm.Tokens(ids, ids.size)]), "scored from")
    refused(lambda: model.score([jlcm.Tokens(np.array([1, 99999]), 1)]), "99999")
    refused(lambda: model.encode_continuation("a", ""), "no token")
    refused(lambda: model.run(ids=np.zeros((1, 3), np.float32)), "int32")
    refused(lambda: model.run(pixels=np.zeros((1, 3), np.int32)), "ids")
    refused(lambda: model.log_likelihoods([1]), "1 ids")


def generation(model):
    original = jlcm.open(FOLDER)
    assert original.artifact is None
    refused(lambda: original.footprint, "no artifact")
    text = original.generate(PROMPT, max_tokens=40, exact=True)
    assert REFERENCE["greedy_text"].startswith(PROMPT + text) or (PROMPT + text).startswith(REFERENCE["greedy_text"]), (
        text
    )
    assert text == original.generate(original.tokenize(PROMPT), max_tokens=40, exact=True)

    pieces = list(model.stream(PROMPT, max_tokens=40))
    assert len(pieces) > 5 and "".join(pieces) == model.generate(PROMPT, max_tokens=40) == jlcm.generate(
        model, PROMPT, max_tokens=40
    )
    warm = {"max_tokens": 20, "temperature": 1.0, "top_k": 50}
    assert (
        model.generate(PROMPT, seed=1, **warm)
        == model.generate(PROMPT, seed=1, **warm)
        != model.generate(PROMPT, seed=2, **warm)
    )
    assert "a" not in model.generate(PROMPT, max_tokens=40, stop=["a"])
    stream = model.stream(PROMPT)
    next(stream)
    stream.close()

    def fail(_):
        raise KeyError("mine")

    try:
        model.generate(PROMPT, on_text=fail)
    except KeyError as error:
        assert error.args == ("mine",)
    else:
        raise AssertionError("what the callback raises is lost")
    refused(lambda: model.generate(PROMPT, temperature=-1.0), "temperature", "-1")
    refused(lambda: model.generate(PROMPT * 500), "512")
    refused(lambda: list(model.stream([])), "prompt")
    refused(lambda: jlcm.open("missing.gguf"), "missing.gguf")


def threads(model):
    """Python goes on while the library works, and several threads use one model."""
    counted, done = 0, threading.Event()

    def work():
        for _ in range(3):
            model.generate(PROMPT, exact=True)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.wait(0.001):
        counted += 1
    worker.join()
    assert counted > 3, counted
    ids = model.tokenize(PROMPT)
    results = [None] * 4

    def score(place):
        results[place] = model.log_likelihoods(ids)

    workers = [threading.Thread(target=score, args=(i,)) for i in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert all(np.array_equal(each, results[0]) for each in results)


model = weights(quick_artifact())
texts(model)
likelihoods(model)
generation(model)
threads(model)
