"""What follows a run: two evaluations of one text, and the commands that scripts/quickstart.sh ends with. Needs no assets."""

import csv
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import BIN, SOURCE, call, environment, run_directory

MODEL = SOURCE / "tests/golden/transformers/llama_biased"
text = Path("text.txt").resolve()
text.write_text("".join(f"Line {i}: the {i * i}th of {i + 7} words, and then another one. " for i in range(300)))
Path("spec.yaml").write_text(f"""
version: 1
name: twice
model: {{source: {MODEL}}}
compute: float32
calibration: {{dataset: {text}, sequences: 16, length: 24}}
compress: {{bits: 3, learn: {{steps: 4, batch: 4, estimator: nearest}}}}
evaluate:
  - {{type: perplexity, dataset: {text}, context: 24, windows: 8}}
  - {{type: perplexity, dataset: {text}, context: 24, windows: 5}}
  - {{type: perplexity, dataset: {text}, context: 24, windows: 8}}
""")


def shell(script, code=0, **more):
    """What the script prints, with the functions of scripts/lib/common.sh."""
    start = f"source {SOURCE}/scripts/lib/common.sh; build={BIN.parent}; "
    done = subprocess.run(["bash", "-c", start + script], capture_output=True, text=True, env={**environment(), **more})
    assert done.returncode == code, (script, done.returncode, done.stdout, done.stderr)
    return done.stdout


# As the script ends: three commands that work as they stand.
shutil.rmtree("out", ignore_errors=True)
printed = shell("run_and_name_next spec.yaml --out out")
run = run_directory("out").resolve()
commands = [shlex.split(line) for line in printed.splitlines() if line.startswith(f"   {BIN}/")]
assert [Path(words[0]).name for words in commands] == ["jlcm-table", "jlcm-report", "jlcm-compare"], printed
assert all(str(run) in " ".join(words) for words in commands), printed
outputs = []
for words in commands:
    done = subprocess.run(words, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, (words, done.stderr)
    outputs.append(done.stdout)
table, _, comparison = outputs
assert "perplexity, text.txt, context 24, windows 8" in table and "context 24, windows 5" in table, table
assert "| compressed |" in table and "| original" in table, table
assert Path("report.html").read_text().count("<th ") == 3 + 2 * 3, "the page's table has other columns"
assert re.search(r"context 24, windows 8 \|.*\| +(< )?[01]\.\d{4} \|", comparison), comparison
# A run that is refused, or only described, names nothing.
assert "jlcm-table" not in shell("run_and_name_next spec.yaml --print-config")
assert "jlcm-table" not in shell("run_and_name_next missing.yaml", code=2)

# Every program takes the run; only what is asked for without saying of which evaluation is refused, naming them.
listed, _ = call("jlcm-table", run, "--format", "csv")
rows = list(csv.reader(io.StringIO(listed)))
assert len(rows) == 2 and sum("perplexity" in cell and "error" not in cell for cell in rows[0]) == 2, listed
call("jlcm-table", run, "--format", "run")
_, said = call("jlcm-table", run, "--columns", "perplexity", code=2)
assert "windows 8" in said and "windows 5" in said and "--evaluation" in said, said
shown, _ = call("jlcm-table", run, "--columns", "{value: perplexity, evaluation: windows 5}")
assert "perplexity" in shown, shown
for pair in ((run, f"{run}:original"), (f"{run}:solver_only", run), (f"{run}:original", f"{run}:solver_only"),
             (f"{run}:compressed", run), (run, run)):
    call("jlcm-compare", *pair)
_, said = call("jlcm-compare", run, f"{run}:orignal", code=2)
assert 'did you mean "original"' in said and "solver_only" in said, said
call("jlcm-plot", "frontier", run, "--evaluation", "windows 8", "--out", "frontier.svg")
call("jlcm-plot", "loss", run, "--out", "loss.svg")
for form in ("mlflow", "tensorboard"):
    call("jlcm-report", run, "--format", form, "-o", form)

# Without the shared texts the handbook is evaluated, once; with them, both texts are.
assets = Path("assets")
shutil.rmtree(assets, ignore_errors=True)
(assets / "data/text").mkdir(parents=True)
(assets / "cache/data").mkdir(parents=True)
find = 'has_hash() { true; }; find_texts >/dev/null; printf "%s\\n" "${evaluate_once[@]}"'
places = {"JLCM_ASSETS": str(assets / "none"), "JLCM_DATA": "", "JLCM_CACHE": str(assets / "cache")}
options = shell(find.replace("find_texts", f'root={Path("tree").resolve()}; mkdir -p "$root/scripts"; '
                             'printf "" >"$root/scripts/make_handbook_text.sh"; chmod +x "$root/scripts/make_handbook_text.sh"; '
                             "find_texts"), **places).splitlines()
assert options and options[0] == "--set", options
config, _ = call("jlcm-run", SOURCE / "configs/llama_2bit.yaml", *options, "--print-config")
assert re.sub(" #.*", "", config).split("evaluate:")[1].count("type: perplexity") == 1, config
for name in ("wikitext-2-raw-test.txt", "c4-sample.txt"):
    (assets / "data/text" / name).write_text("a text\n")
both = shell(find, **{**places, "JLCM_ASSETS": str(assets), "JLCM_DATA": str((assets / "data").resolve())})
assert not both.strip(), both
print("two evaluations of one text stand in every table; the commands that end the first run work")
