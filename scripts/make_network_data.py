#!/usr/bin/env python3
"""Data and files that scripts/fetch_networks.sh makes: what the networks of some configs read.

    make_network_data.py lines TEXT FOLDER            pictures of lines of a text, 320 x 48 pixels
    make_network_data.py tokens TOKENIZER TEXT OUT    windows of 128 tokens of a text, as the array input_ids of OUT.npz
    make_network_data.py voice NETWORK FOLDER OUT     windows of recordings with the states that silero-vad has before each of them
    make_network_data.py antibodies GERMLINES OUT     germline V and J genes side by side, one sequence a line
    make_network_data.py words VOCABULARY OUT         a tokenizer.json of these words between spaces
    make_network_data.py weights CHECKPOINT OUT       pytorch_model.bin as safetensors; nothing in it is run

The same input gives the same bytes, with the same versions of Pillow and NumPy.
"""

import ast
import collections
import json
import math
import pickle
import random
import re
import struct
import sys
import wave
import zipfile
from pathlib import Path


def words_of(path):
    return re.findall(r"[!-~]+", Path(path).read_text())


def lines(text, folder, count=1200):
    """Printed text under unlike conditions: sizes, colours, shades, a slant, a blur, noise."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    chance, noise = random.Random(1), np.random.default_rng(1)
    words = words_of(text)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        font = ImageFont.load_default(chance.uniform(20, 34))
        at = chance.randrange(len(words) - 40)
        line = words[at]
        for word in words[at + 1:at + 40]:
            if font.getlength(f"{line} {word}") > 300:
                break
            line += " " + word
        paper = [chance.randrange(150, 256) for _ in range(3)]
        ink = [chance.randrange(0, 100) for _ in range(3)]
        if chance.random() < 0.25:
            paper, ink = ink, paper
        image = Image.new("RGB", (320, 48), tuple(paper))
        height = sum(font.getmetrics())
        ImageDraw.Draw(image).text((chance.uniform(4, 12), (48 - height) / 2 + chance.uniform(-3, 3)), line, tuple(ink), font)
        image = image.rotate(chance.uniform(-1.5, 1.5), Image.BICUBIC, fillcolor=tuple(paper))
        image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0, 1)))
        shade = np.linspace(*[chance.uniform(0.8, 1.1) for _ in range(2)], 320)[None, :, None]
        pixels = np.asarray(image) * shade + noise.normal(0, chance.uniform(0, 12), (48, 320, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(Path(folder) / f"{number:04}.png")


def tokens(tokenizer, text, out, length=128, count=1000):
    import numpy as np
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(tokenizer)
    reader.no_truncation()
    reader.no_padding()
    first, last = (reader.token_to_id(name) for name in ("[CLS]", "[SEP]"))
    ids = reader.encode(Path(text).read_text(), add_special_tokens=False).ids
    body = length - 2
    rows = [[first, *ids[at:at + body], last] for at in range(0, len(ids) - body, body)][:count]
    np.savez_compressed(out, input_ids=np.array(rows, np.int32))


def recording(path, rate=16000):
    """A WAV file of 16 bits and one channel at twice its rate: zeros above the band that it has."""
    import numpy as np

    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth(), 2 * file.getframerate()) != (1, 2, rate):
            sys.exit(f"{path}: not 16 bits and one channel at {rate // 2} Hz")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    spectrum = np.fft.rfft(values)
    return np.fft.irfft(np.concatenate([2 * spectrum, np.zeros(len(values) - len(spectrum) + 1)]), 2 * len(values)).astype(np.float32)


def voice(network, folder, out, fresh=512, context=64, files=120, every=8):
    """One window in `every`, from `files` recordings spread over the folder."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    found = sorted(Path(folder).glob("*.wav"))
    inputs, states = [], []
    for path in found[::max(1, len(found) // files)]:
        sound = np.concatenate([np.zeros(context, np.float32), recording(path)])
        state = np.zeros((2, 1, 128), np.float32)
        for number, at in enumerate(range(0, len(sound) - context - fresh + 1, fresh)):
            window = sound[at:at + context + fresh]
            if number % every == every // 2:
                inputs.append(window)
                states.append(state[:, 0])
            _, state = session.run(["output", "stateN"], {"input": window[None], "state": state, "sr": np.array(16000)})
    np.savez_compressed(out, input=np.array(inputs), state=np.array(states))


SPECIES = {"human": "[HUMAN]", "mouse": "[MOUSE]", "rat": "[RAT]", "rabbit": "[RABBIT]", "rhesus": "[RHESUS]", "alpaca": "[CAMEL]"}


def antibodies(germlines, out, words=106):
    """Each V gene beside a J gene of its chain and species, cut to `words` of IgLM's tokens, in an order by chance."""
    chance = random.Random(1)
    genes = ast.literal_eval(Path(germlines).read_text().split("=", 1)[1].strip())
    sequences = set()
    for chain in "HKL":
        for species, word in SPECIES.items():
            ends = sorted(set(genes["J"][chain].get(species, {}).values()))
            for gene in sorted(set(genes["V"][chain].get(species, {}).values())):
                if ends:
                    residues = (gene + chance.choice(ends)).replace("-", "")
                    line = ["[HEAVY]" if chain == "H" else "[LIGHT]", word, *residues][:words]
                    if len(line) == words:
                        sequences.add(" ".join(line))
    ordered = sorted(line for line in sequences if not re.search(r" [^ACDEFGHIKLMNPQRSTVWY\[]( |$)", line))
    chance.shuffle(ordered)
    Path(out).write_text("\n".join(ordered) + "\n")


def words(vocabulary, out):
    from tokenizers import Tokenizer, models, pre_tokenizers

    ids = {word: number for number, word in enumerate(Path(vocabulary).read_text().split())}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(out)


class Weights(pickle.Unpickler):
    """The tensors of a checkpoint; a name that is not among these three is refused."""

    def __init__(self, archive, root):
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (*storage, offset, shape, strides)
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not a part of weights")

    def persistent_load(self, pid):
        _, kind, key, _, _ = pid
        return kind, self.archive.read(f"{self.root}/data/{key}")


def weights(checkpoint, out):
    with zipfile.ZipFile(checkpoint) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).rsplit("/", 1)[0]
        tensors = Weights(archive, root).load()
    header, parts, end = {}, [], 0
    for name, (kind, data, offset, shape, strides) in tensors.items():
        if kind != "FloatStorage":
            continue  # masks, which the architecture says
        dense = tuple(math.prod(shape[d + 1:]) for d in range(len(shape)))
        if tuple(strides) != dense:
            sys.exit(f"{checkpoint}: {name} is not stored row by row")
        part = data[4 * offset:4 * (offset + math.prod(shape))]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + len(part)]}
        parts.append(part)
        end += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(out).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


if __name__ == "__main__":
    kinds = {"lines": lines, "tokens": tokens, "voice": voice, "antibodies": antibodies, "words": words, "weights": weights}
    if len(sys.argv) < 4 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    kinds[sys.argv[1]](*sys.argv[2:])
