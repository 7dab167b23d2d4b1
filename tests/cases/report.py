"""Comparisons, plots and the report page of real runs; the page is opened in headless Chromium where there is one."""

import html
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
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
WEIGHT = "model.layers.0.mlp.up_proj.weight"
ONE = ("--where", "bits=2", "--where", "estimator=near", "--where", "seed=1")
for kind, arguments, wanted in (
    ("frontier", ("--series", "estimator"), "fixed &lt;&amp;&gt;"),
    ("frontier", ("--x", "bytes,minutes"), "minutes of compressing"),
    ("frontier", ("--against", "estimator=near"), "difference to near"),
    ("frontier", ("--against", "frontier"), "times the best"),
    ("ranking", (), "bits 3, near"),
    ("kl", (), "90th percentile"),
    ("loss", (), "bits 3, near"),
    ("distillation", ("--where", "bits=2"), "fixed &lt;&amp;&gt;"),
    ("jumps", (), "by 3 or more"),
    ("jump-steps", (), "by 2"),
    ("error", (), "part of the error"),
    ("heat", ONE, "self_attn.q_proj, block 4"),
    ("codebooks", (*ONE, "--weight", WEIGHT), "codewords, by use"),
    ("rows", (*ONE, "--weight", WEIGHT), "data:image/png"),
):
    call("jlcm-plot", kind, "out", *arguments, "--out", f"{kind}.svg")
    text = Path(f"{kind}.svg").read_text()
    assert wanted in text and text.startswith("<svg"), (kind, wanted)
    ElementTree.fromstring(text)
_, said = call("jlcm-plot", "codebooks", "out", "--weight", WEIGHT, "--out", "x.svg", code=2)
assert "8" in said, said
_, said = call("jlcm-plot", "frontier", "out", "--against", "near", "--out", "x.svg", code=2)
assert "AXIS=VALUE" in said, said
if shutil.which("rsvg-convert"):
    for form, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        call("jlcm-plot", "frontier", "out", "--out", f"frontier.{form}")
        assert Path(f"frontier.{form}").read_bytes().startswith(magic)
else:
    print("no rsvg-convert: no PNG and PDF")
# Where rows were put side by side, the picture has them before and after.
Path("moved.yaml").write_text(f"""
include: {SOURCE}/configs/stories260k_2bit.yaml
name: moved
calibration: {{sequences: 8}}
compress: {{grouping: {{type: distribution, groups: 4}}, reorder: {{unabsorbed: leave}}, learn: null, distill: null}}
evaluate: []
""")
call("jlcm-run", "moved.yaml", "--out", "moved")
call("jlcm-plot", "rows", "moved", "--weight", WEIGHT, "--out", "moved.svg")
text = Path("moved.svg").read_text()
assert "in the model&#39;s order" in text and "as stored" in text and text.count("data:image/png") == 4
call("jlcm-plot", "codebooks", "moved", "--weight", WEIGHT, "--out", "groups.svg")
assert Path("groups.svg").read_text().count('class="panel"') == 4

# The page.
call("jlcm-report", "out", "--title", "Eight <runs>", "-o", "report.html")
page = Path("report.html").read_text()
assert "Eight &lt;runs&gt;" in page and page.count("<details ") == 8
assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page), "the page would want the network"
chromium = next((each for each in ("chromium", "chromium-browser", "google-chrome") if shutil.which(each)), None)
if chromium is None:
    print("no Chromium: the page is not opened")
    sys.exit(0)
PROBE = """<script>{
const rows = () => [...document.querySelector("table tbody").rows];
const column = [...document.querySelectorAll("th")].findIndex(each => each.textContent === "perplexity");
const head = document.querySelectorAll("th")[column];
const values = () => rows().map(row => Number(row.cells[column].dataset.value));
const probe = {};
head.click();
probe.up = values();
head.click();
probe.down = values();
// The series of the first plot with the figures that its marks say.
const first = document.querySelector("svg.plot");
probe.names = [...first.querySelectorAll("g.key text")].map(each => each.textContent);
probe.says = [...first.querySelectorAll("g.mark")].map(each => each.dataset.says);
probe.widths = [...document.querySelectorAll(".view:not([hidden]) svg")].map(svg => svg.closest("figure").getBoundingClientRect().width);
probe.page = document.documentElement.scrollWidth;
// A name switches its series.
const inFirst = () => [...first.querySelectorAll("g.series[data-series='0']")].filter(each => each.getBoundingClientRect().width > 0).length;
probe.before = inFirst();
first.querySelector("g.key[data-series='0']").dispatchEvent(new MouseEvent("click", {bubbles: true}));
probe.off = inFirst();
first.querySelector("g.key[data-series='0']").dispatchEvent(new MouseEvent("click", {bubbles: true}));
probe.on = inFirst();
// Views of one thing.
const views = document.querySelector(".views");
const visible = () => [...views.parentElement.querySelectorAll(".view")].map(each => !each.hidden);
probe.views = [...views.children].map(button => { button.click(); return visible().indexOf(true); });
views.children[0].click();
// The pointer shows run and figure.
const mark = first.querySelector("g.mark circle, g.mark rect, g.mark path");
mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 100, clientY: 100}));
probe.tip = document.querySelector(".tip").textContent;
probe.tipShown = !document.querySelector(".tip").hidden;
// One filter for rows, marks and runs.
const marks = () => [...first.querySelectorAll("g.mark")].filter(each => each.getBoundingClientRect().width > 0).map(each => each.dataset.says);
probe.marks = marks().length;
const filter = document.querySelector("input.filter");
filter.value = "FIXED <&>";
filter.dispatchEvent(new Event("input"));
probe.visible = rows().filter(row => !row.hidden).map(row => row.textContent);
probe.left = marks();
const seen = selector => [...document.querySelectorAll(selector)].filter(each => each.getBoundingClientRect().width > 0);
probe.keys = [...first.querySelectorAll("g.key")].filter(each => getComputedStyle(each).display !== "none").map(each => each.textContent.trim());
const lines = [...first.querySelectorAll("path[data-joins]")];
probe.lines = [lines.length, lines.filter(line => line.getAttribute("d") !== "").length];
probe.panels = seen("svg.plot g.panel[data-runs]").length;
probe.figures = [...document.querySelectorAll("figure[hidden] svg.plot")].map(each => each.getAttribute("aria-label"));
probe.runs = [...document.querySelectorAll("details")].filter(each => !each.hidden).length;
probe.count = document.querySelector(".count").textContent;
filter.value = "";
filter.dispatchEvent(new Event("input"));
probe.all = marks().length;
document.body.setAttribute("data-probe", JSON.stringify(probe));
}</script>"""
Path("probe.html").write_text(page.replace("</body>", PROBE + "</body>"))
options = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=chromium"]
options += ["--virtual-time-budget=3000"]


def probed(width):
    """What the page says of itself in a window of this width."""
    command = [*options, f"--window-size={width},2400", "--dump-dom", Path("probe.html").resolve().as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'data-probe="([^"]*)"', dumped.stdout)
    assert found, dumped.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


for width in (1400, 800):
    probe = probed(width)
    assert probe["up"] == sorted(probe["up"]) and probe["down"] == probe["up"][::-1] and len(probe["up"]) == 4, probe
    assert sorted(probe["names"]) == ["fixed <&>", "near"], probe
    assert len(probe["says"]) == 4 and all("estimator=" in each and "perplexity" in each for each in probe["says"]), probe
    assert f"{probe['up'][0]:.5g}" in "".join(probe["says"]), probe
    assert len(probe["widths"]) >= 5 and min(probe["widths"]) > 300 and max(probe["widths"]) <= width, probe
    assert probe["page"] <= width, "plots that are wider scroll by themselves"
    assert (probe["before"], probe["off"], probe["on"]) == (1, 0, 1), probe
    assert probe["views"] == list(range(len(probe["views"]))) and len(probe["views"]) == 3, probe
    assert probe["tipShown"] and "estimator=" in probe["tip"] and "perplexity" in probe["tip"], probe
    assert len(probe["visible"]) == 2 and all("fixed <&>" in row for row in probe["visible"]), probe
    assert probe["marks"] == 4 and len(probe["left"]) == 2 and all("fixed <&>" in each for each in probe["left"]), probe
    assert probe["keys"] == ["fixed <&>"] and probe["lines"] == [2, 1] and probe["panels"] == 2, probe
    assert "How far codes moved" in probe["figures"] and "Block learning" not in probe["figures"], probe
    assert probe["runs"] == 4 and probe["count"] == "4 runs", probe
    assert probe["all"] == 4, probe
print("8 runs compared, plotted and shown on a page that sorts and filters")
