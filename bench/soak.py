#!/usr/bin/env python3
"""Generates for minutes in one process under a memory limit, and watches whether what it holds grows.

    bench/soak.py MODEL [--minutes 15] [--memory-limit 400M] [--jlcm build/bin/jlcm-generate]

Prompts of random lengths are answered one after another with random draws. Every second the process's own memory (without pages of
mapped files) and all of it are read from /proc. The first fifth is warming up; the exit code is 1 if the peak of the last fifth lies more than
2 % above that of the fifth behind the warming up, or if the process ends early.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = 5
ALLOWED_GROWTH = 1.02

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("model")
arguments.add_argument("--minutes", type=float, default=15)
arguments.add_argument("--memory-limit", default="400M")
arguments.add_argument("--jlcm", default="build/bin/jlcm-generate")
given = arguments.parse_args()


def memory(pid):
    """Megabytes: of its own, and with pages of mapped files."""
    values = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(values[key].split()[0]) / 1e3 * 1.024 for key in ("RssAnon", "VmRSS"))


def prompts(file):
    draws = random.Random(1)
    words = "once upon a time there was the little girl who saw an old tree and went home to say that it is good".split()
    for _ in range(100_000):
        file.write(" ".join(draws.choices(words, k=draws.randint(1, 200))) + "\n")
    file.flush()


with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as said:
    prompts(file)
    command = [given.jlcm, given.model, "--prompts", file.name, "--json", "--max-tokens", "100", "--temperature", "0.8"]
    command += ["--context", "512", "--memory-limit", given.memory_limit]
    process = subprocess.Popen(command, stdout=answers, stderr=said)
    samples = []
    begin = time.monotonic()
    while time.monotonic() < begin + 60 * given.minutes and process.poll() is None:
        try:
            samples.append(memory(process.pid))
        except (FileNotFoundError, KeyError):
            break
        time.sleep(1)
    ended_early = process.poll() is not None
    if not ended_early:
        process.send_signal(signal.SIGINT)
        process.wait()
    answers.seek(0)
    texts = sum(1 for _ in answers)
    said.seek(0)
    messages = said.read().decode()

if ended_early or len(samples) < PARTS:
    print(messages[-2000:], f"the process ended after {len(samples)} seconds with exit code {process.returncode}", sep="\n")
    sys.exit(1)
part = len(samples) // PARTS
peaks = [[max(sample[kind] for sample in samples[i * part : (i + 1) * part]) for i in range(PARTS)] for kind in (0, 1)]
print(f"{texts} texts in {given.minutes:g} minutes under a limit of {given.memory_limit} ({os.path.basename(given.model)})")
print("peaks of the fifths, MB: own", *(f"{peak:.1f}" for peak in peaks[0]), "; all", *(f"{peak:.1f}" for peak in peaks[1]))
grown = peaks[0][-1] > ALLOWED_GROWTH * peaks[0][1]
print("memory grows" if grown else "no growth")
sys.exit(grown)
