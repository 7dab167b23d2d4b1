"""Small JPEG and PNG files, and what Pillow makes of them: tests/golden/images/ and images.json.

    python make_images.py [ASSETS]        # ASSETS: also hashes of 30 photographs of ASSETS/data/imagenet-samples

Hashes are SHA-256 of the pixels in red, green and blue, row by row; `grey_sha256` of the file converted to grey ("L").
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

HERE = Path(__file__).parent
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def digest(image):
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def record(path, sizes):
    image = Image.open(path).convert("RGB")
    resized = []
    for height, width in sizes(image):
        for name, kind in FILTERS.items():
            pixels = digest(image.resize((width, height), kind))
            resized.append({"height": height, "width": width, "filter": name, "sha256": pixels})
    grey = hashlib.sha256(Image.open(path).convert("L").tobytes()).hexdigest()
    return {"file": path.name, "height": image.height, "width": image.width, "sha256": digest(image), "grey_sha256": grey, "resized": resized}


def draw(random, height, width):
    """Smooth colours, an edge and some noise."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(random.uniform(2, 30) * x + random.uniform(2, 30) * y + random.uniform(0, 6)) for _ in range(3)]
    pixels = 127 + 90 * np.stack(waves, 2) + random.normal(0, 12, (height, width, 3))
    pixels[y > x * random.uniform(0.5, 2)] *= random.uniform(0.2, 1.5)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def main():
    random = np.random.default_rng(0)
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number in range(12):
        height, width = (int(side) for side in random.integers(1 if number < 2 else 20, 90, 2))
        image = Image.fromarray(draw(random, height, width))
        image = image.convert("L") if number == 5 else image
        image.save(folder / f"{number:02}.jpg", quality=int(random.integers(40, 98)), subsampling=number % 3 if number != 5 else -1, progressive=number % 4 == 3)
    for number, mode in enumerate(["RGB", "L", "P", "1", "RGBA", "LA", "RGB", "RGB"], 12):
        height, width = (int(side) for side in random.integers(10, 60, 2))
        pixels = draw(random, height, width)
        image = Image.fromarray(pixels).convert(mode) if mode not in ("RGBA", "LA") else Image.fromarray(pixels)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.fromarray(pixels[:, :, 0]))
            image = image.convert(mode)
        image.save(folder / f"{number:02}.png")

    def some_sizes(image):
        return [(1, 1), (image.height, 7), (9, image.width), (image.height * 2 + 1, image.width * 3), (13, 17), (32, 32)]

    result = {"pillow": PIL.__version__, "files": [record(path, some_sizes) for path in sorted(folder.iterdir())]}
    if len(sys.argv) > 1:
        photographs = sorted((Path(sys.argv[1]) / "data/imagenet-samples").glob("*.jpg"))[::33][:30]
        result["photographs"] = [record(path, lambda image: [(224, 224), (image.height * 5 // 4, image.width * 5 // 4)]) for path in photographs]
    (HERE / "images.json").write_text(json.dumps(result, indent=1) + "\n")


main()
