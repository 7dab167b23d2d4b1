"""Small WAV and FLAC files, what soundfile reads from them, and what SciPy makes of them at a lower rate: tests/golden/sounds/.

    python make_sounds.py
"""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

HERE = Path(__file__).parent / "sounds"
FILES = [("stereo_16.wav", 22050, 2, "PCM_16", 16000), ("mono_24.wav", 16000, 1, "PCM_24", 8000), ("mono_8.wav", 8000, 1, "PCM_U8", 6000),
         ("a_law.wav", 8000, 1, "ALAW", 4000), ("three_channels.flac", 48000, 3, "PCM_16", 16000)]


def main():
    random = np.random.default_rng(1)
    HERE.mkdir(exist_ok=True)
    records = []
    for name, rate, channels, kind, slower in FILES:
        moments = np.arange(400) / rate
        tones = [random.uniform(0.05, 0.2) * np.sin(2 * np.pi * random.uniform(100, slower / 5) * moments + random.uniform(0, 6))
                 for _ in range(3 * channels)]
        soundfile.write(HERE / name, np.reshape(tones, [channels, 3, -1]).sum(1).T, rate, subtype=kind)
        read, _ = soundfile.read(HERE / name, always_2d=True)
        mono = read.mean(1)
        ratio = Fraction(slower, rate)
        # Of half a sample more or less, the file's own length decides.
        resampled = scipy.signal.resample_poly(mono, ratio.numerator, ratio.denominator)[:round(len(mono) * ratio)]
        records.append({"file": name, "rate": rate, "mono": [float(np.float32(x)) for x in mono], "slower_rate": slower,
                        "slower": [round(float(x), 6) for x in resampled]})
    (HERE / "sounds.json").write_text("[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]\n")


main()
