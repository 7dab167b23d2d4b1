"""Comparisons, plots and the report page of real runs; the page is opened in headless Chromium where there is one."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, need_assets

need_assets()
shutil.rmtree("out", ignore_errors=True)
Path("sweep.yaml").write_text(f"""
name: small
base: {SOURCE}/configs/stories260k_2bit.yaml
set: {{evaluate.0.windows: 4, calibration.sequences: 16, compress.distill.steps: 5, compress.learn.steps: 6}}
grid:
  compress.bits: [2, 3]
  compress.learn.estimator: {{near: {{type: nearest, rate: 0.1}}, "fixed <&>": frozen}}
seeds: [1, 2]
launcher: {{processes: 2}}
""")
call("jlcm-sweep", "sweep.yaml", "--out", "out")
# Comparisons.
manifest = json.loads(Path("out/small.sweep.json").read_text())
runs = {tuple(run["labels"].values()): Path("out", run["directory"]) for run in manifest["runs"]}
assert len(runs) == 8
first, second = runs["2", "near", "1"], runs["3", "near", "1"]
shown, _ = call("jlcm-compare", first, second)
assert re.search(r"compress.bits +\| 2 +\| 3", shown) and "equal codes" in shown and "3 bits" in shown, shown
assert re.search(r"perplexity, tinystories-heldout, context 256 \|.*\| +(< )?[01]\.\d{4} \|", shown), shown
shown, _ = call("jlcm-compare", first / "artifact.safetensors", first / "artifact.safetensors")
assert re.search(r"(\d+) tensors, \1 identical", shown) and "|" not in shown, shown
shown, _ = call("jlcm-compare", first, runs["2", "near", "2"])
assert re.search(r"seed +\| 1 +\| 2", shown), shown
_, said = call("jlcm-compare", first, "sweep.yaml", code=2)
assert "neither" in said, said

# Plots.
if shutil.which("gnuplot") is None:
    print("no gnuplot: plots are not tested")
    _, said = call("jlcm-plot", "loss", "out", "--out", "loss.svg", code=2)
    assert "gnuplot-nox" in said, said
    sys.exit(0)
WEIGHT = "model.layers.0.mlp.up_proj.weight"
for kind, arguments in (
    ("loss", ()),
    ("distillation", ("--where", "bits=2")),
    ("jumps", ()),
    ("error", ()),
    ("frontier", ("--series", "estimator")),
    ("codebooks", ("--where", "bits=2", "--where", "estimator=near", "--where", "seed=1", "--weight", WEIGHT)),
):
    for form in ("svg", "png"):
        call("jlcm-plot", kind, "out", *arguments, "--out", f"{kind}.{form}")
    text = Path(f"{kind}.svg").read_text()
    wanted = {"loss": "3, near", "distillation": "fixed &lt;&amp;", "codebooks": "codewords"}.get(kind, "near")
    assert wanted in text, (kind, wanted)
    assert Path(f"{kind}.png").read_bytes()[:4] == b"\x89PNG"
_, said = call("jlcm-plot", "codebooks", "out", "--weight", WEIGHT, "--out", "x.svg", code=2)
assert "8" in said, said

# The page.
call("jlcm-report", "out", "--title", "Eight <runs>", "-o", "report.html")
page = Path("report.html").read_text()
assert "Eight &lt;runs&gt;" in page and page.count("<svg") == 5 and page.count("<details>") == 8
assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page), "the page would want the network"
chromium = next((each for each in ("chromium", "chromium-browser", "google-chrome") if shutil.which(each)), None)
if chromium is None:
    print("no Chromium: the page is not opened")
    sys.exit(0)
PROBE = """<script>
const rows = () => [...document.querySelector("table tbody").rows];
const column = [...document.querySelectorAll("th")].findIndex(each => each.textContent === "perplexity");
const head = document.querySelectorAll("th")[column];
const values = () => rows().map(row => Number(row.cells[column].dataset.value));
head.click();
const up = values();
head.click();
const down = values();
const filter = document.querySelector("input.filter");
filter.value = "FIXED <&>";
filter.dispatchEvent(new Event("input"));
const visible = rows().filter(row => !row.hidden).map(row => row.textContent);
const plots = [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width);
document.body.setAttribute("data-probe", JSON.stringify({up, down, visible, plots}));
</script>"""
Path("probe.html").write_text(page.replace("</body>", PROBE + "</body>"))
options = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=chromium"]
options += ["--window-size=1300,2400", "--virtual-time-budget=3000"]
dumped = subprocess.run([*options, "--dump-dom", Path("probe.html").resolve().as_uri()], capture_output=True, text=True, timeout=120)
found = re.search(r'data-probe="([^"]*)"', dumped.stdout)
assert found, dumped.stderr[-2000:]
probe = json.loads(html.unescape(found[1]))
assert probe["up"] == sorted(probe["up"]) and probe["down"] == probe["up"][::-1] and len(probe["up"]) == 4, probe
assert len(probe["visible"]) == 2 and all("fixed <&>" in row for row in probe["visible"]), probe
assert len(probe["plots"]) == 5 and min(probe["plots"]) > 300, probe
subprocess.run([*options, "--screenshot=report.png", Path("report.html").resolve().as_uri()], capture_output=True, timeout=120)
print("8 runs compared, plotted and shown on a page that sorts and filters")
