"""What users get wrong: exit code 2, the place, and what to do; before anything is made."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call

shutil.rmtree("out", ignore_errors=True)


def refused(*arguments, says):
    _, said = call("jlcm-run", *arguments, "--out", "out", code=2)
    for text in [says] if isinstance(says, str) else says:
        assert text in said, f"{arguments} says\n{said}\nwithout {text}"
    assert not Path("out").exists(), "a refused run made a directory"


Path("typo.yaml").write_text("version: 1\nmodel: {source: x}\ncalibration: {dataset: c4-sample}\ncompres: {bits: 9}\n")
refused("typo.yaml", says=["typo.yaml:4:1", "compres", 'did you mean "compress"'])
Path("many.yaml").write_text(
    "version: 2\nmodel: {source: x}\ncalibration: {dataset: c4-sample, sequences: 8, solver_sequences: 9}\n"
    "compress: {bits: 9, learn: {batch: 4, estimator: nearst}}\n"
)
refused("many.yaml", says=["many.yaml:1:10", "solver_sequences", "bits", 'did you mean "nearest"'])
refused(STORIES, "--set", "compress.bits=0", says=["--set compress.bits=0", "1 to 8"])
refused(STORIES, "--set", "compress.learn.batch=1000", says="learn.batch is 1000, of 128")
refused(STORIES, "--set", "compress.learn.objective=layer", says="learn.batch: has no meaning here, this objective walks no samples")
refused(STORIES, "--set", "calibration.shares=[1, 2]", says="2 shares for 1 datasets")
refused(STORIES, "--set", "compress.overrides=[{match: {role: mlp.up}}]", says="the override changes nothing")
refused("missing.yaml", says="missing.yaml")
refused(says="no spec given")
refused(STORIES, "--nonsense", says="nonsense")

_, said = call("jlcm-eval", "anything", code=2)
assert "--task perplexity: dataset: is missing" in said, said
_, said = call("jlcm-eval", "no such model", "--dataset", "c4-sample", code=2)
assert "scripts/fetch_model.sh" in said, said
for views in (("--entropy", "--kernels"), ("--kernels", "--permutations"), ("--permutations", "--json")):
    _, said = call("jlcm-inspect", "anything", *views, code=2)
    assert "excludes" in said, said
_, said = call("jlcm-export", __file__, "out", code=2)
assert "not a safetensors file" in said and not Path("out").exists(), said

printed, _ = call("jlcm-run", STORIES, "--print-config")
assert "stories260k_2bit.yaml:5" in printed and "default" in printed, printed
printed, _ = call("jlcm-run", "--list", "solver")
assert "lnq" in printed
printed, _ = call("jlcm-run", "--describe", "estimator.nearest")
assert "rate" in printed
printed, _ = call("jlcm-run", "--help")
assert "Exit codes" in printed
print("refused what is wrong")
