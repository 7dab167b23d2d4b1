"""Each message that docs/faq.md quotes stands in the sources of the programs, and some of them are provoked."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, STORIES, call

# Literals that stand one behind the other are one.
sources = [path for room in ("core", "apps", "plugins") for path in sorted((SOURCE / room).rglob("*.[ch]pp"))]
texts = []
for path in sources:
    code = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf8"))
    joined = re.sub(r'(?<!\\)"\s*(?:R?)"', "", code)
    texts += [literal.replace("\\\"", '"').replace("{{", "{").replace("}}", "}").replace("\\n", "\n")
              for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined)]  # fmt: skip
all_text = "\n".join(re.sub(r"\{[^{}\n ]*\}", "…", text) for text in texts)

text = (SOURCE / "docs/faq.md").read_text(encoding="utf8")
quoted = re.findall(r"^> (.*)$", text, re.MULTILINE)
lost = [message for message in quoted if message not in all_text]
assert not lost, "no program says any more:\n" + "\n".join(lost)
assert len(quoted) == len(set(quoted)) > 30
# Each with its cause and its remedy.
for part in re.split(r"^> ", text, flags=re.MULTILINE)[1:]:
    assert "*Cause:*" in part and "*Remedy:*" in part.replace("\n", " "), part


def provoked(message, program, *arguments):
    assert message in quoted, message
    _, said = call(program, *arguments, code=2)
    where = 0
    for part in message.split("…"):
        where = said.find(part, where)
        assert where >= 0, f"{message!r} is not what {program} says:\n{said}"


provoked('unknown key "…"', "jlcm-run", STORIES, "--set", "compress.bit=3")
provoked("the override changes nothing", "jlcm-run", STORIES, "--set", "compress.overrides=[{match: {role: mlp.up}}]")
provoked("the model … is no file or folder, and none of that name is in these directories:", "jlcm-run", STORIES, "--set", "model.source=none",
         "--set", "calibration.dataset={type: text_file, path: x.txt}", "--dry-run")
Path("model").mkdir(exist_ok=True)
Path("model/config.json").write_text('{"model_type": "llama"}')
Path("model/pytorch_model.bin").touch()
provoked("the weights are in …, a pickle, which can run programs and is not read.", "jlcm-eval", "model", "--dataset", "c4-sample")
Path("model/config.json").write_text('{"model_type": "none"}')
provoked("the architecture '…' is not supported; there are …", "jlcm-eval", "model", "--dataset", "c4-sample")
Path("lfs.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
provoked("a pointer of Git LFS in place of the file: fetch it with 'git lfs pull'", "jlcm-inspect", "lfs.safetensors")
Path("short.safetensors").write_bytes((10**6).to_bytes(8, "little") + b"{}")
provoked("not a safetensors file, or truncated: a header of … bytes in a file of …", "jlcm-inspect", "short.safetensors")
Path("empty").mkdir(exist_ok=True)
provoked("there is no finished run (result.json) in …", "jlcm-table", "empty")
print(f"{len(quoted)} messages stand in the sources")
