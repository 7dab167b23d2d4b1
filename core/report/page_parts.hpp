#pragma once
// What a report page looks like and what it does. Everything is inside the page.

namespace jlcm {

inline constexpr const char* page_style = R"(
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #1b1b1b; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #444; cursor: pointer; user-select: none; vertical-align: bottom; }
th[aria-sort=ascending]::after { content: " \25B2"; } th[aria-sort=descending]::after { content: " \25BC"; }
th, td { padding: .2rem .7rem; } td { border-bottom: 1px solid #eee; } tr:hover td { background: #f5f8fb; }
.key { text-align: left; } .figure { text-align: right; } .scroll { overflow-x: auto; }
.note, .hint, .count { color: #555; font-size: .85rem; margin: .3rem 0; }
input.filter { font: inherit; padding: .3rem .6rem; width: 20rem; max-width: 70vw; position: sticky; top: .4rem;
  z-index: 2; background: #fff; border: 1px solid #999; border-radius: 4px; }
.count { margin-left: .7rem; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.2rem; align-items: start;
  grid-auto-flow: dense; }
figure { margin: 0; min-width: 0; } figure.wide { grid-column: 1 / -1; }
svg.plot { width: 100%; height: auto; } figure:not(.wide) svg.plot { max-width: 44rem; }
.plots g.key { cursor: pointer; } g.key.off { opacity: .3; }
.views button { font: inherit; font-size: .85rem; border: 1px solid #bbb; background: #f6f6f6; padding: .1rem .6rem;
  cursor: pointer; } .views button.on { background: #1b1b1b; color: #fff; }
g.series.off, svg.plot .out { display: none; }
g.series:hover path.line { stroke-width: 3; }
.tip { position: fixed; pointer-events: none; background: #1b1b1b; color: #fff; font-size: .8rem; padding: .3rem .5rem;
  border-radius: 4px; white-space: pre-line; max-width: 30rem; z-index: 3; }
.tip[hidden] { display: none; }
pre { background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: .8rem; }
details { margin: .25rem 0; } summary { cursor: pointer; }
@media (max-width: 1000px) { .plots { grid-template-columns: minmax(0, 1fr); }
  figure.wide { overflow-x: auto; } figure.wide svg.plot { min-width: 64rem; } }
)";

inline constexpr const char* page_script = R"({
// Tables sort.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent;
    return text !== "" && !isNaN(text) ? Number(text) : text;
  };
  const before = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b);
  };
  [...table.tHead.rows[0].cells].forEach((head, column, heads) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * before(value(a, column), value(b, column)));
    body.append(...rows);
  }));
}
// One filter for rows, pictures and runs: what is made of no run that a row still shows goes.
const runsOf = element => (element.dataset.runs || "").split(" ").filter(run => run !== "");
const filter = document.querySelector("input.filter");
// A line that joins marks goes through those that are shown.
const rejoin = (line, isShown) => {
  line.dataset.whole ??= line.getAttribute("d");
  const runs = line.dataset.joins.split(";");
  const places = line.dataset.whole.slice(1).split("L").filter((_, i) => isShown(runs[i].split(" ")));
  line.setAttribute("d", places.length > 1 ? "M" + places.join("L") : "");
};
// A series without a shown mark, a name without a shown series, a figure without either.
const isEmpty = series => {
  const marks = [...series.querySelectorAll("g.mark")];
  return series.classList.contains("out") || (marks.length > 0 && marks.every(mark => mark.classList.contains("out")));
};
const hideNames = svg => {
  for (const key of svg.querySelectorAll("g.key")) {
    const named = [...svg.querySelectorAll(`g.series[data-series="${key.dataset.series}"]`)];
    key.classList.toggle("out", named.length > 0 && named.every(isEmpty));
  }
};
const hideFigure = figure => {
  const parts = [...figure.querySelectorAll("g.series:not(.context), g.panel[data-runs]")];
  figure.hidden = parts.length > 0 && parts.every(isEmpty);
};
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  const shown = new Set();
  for (const row of document.querySelectorAll("tbody tr")) {
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
    if (!row.hidden) runsOf(row).forEach(run => shown.add(run));
  }
  const isAll = filter.value.trim() === "";
  const isShown = runs => isAll || runs.some(run => shown.has(run));
  const isOut = element => element.dataset.runs !== undefined && !isShown(runsOf(element));
  for (const part of document.querySelectorAll("svg.plot [data-runs]")) part.classList.toggle("out", isOut(part));
  for (const line of document.querySelectorAll("svg.plot path[data-joins]")) rejoin(line, isShown);
  document.querySelectorAll("svg.plot").forEach(hideNames);
  document.querySelectorAll("figure").forEach(hideFigure);
  for (const run of document.querySelectorAll("details[data-runs]")) run.hidden = isOut(run);
  document.querySelector(".count").textContent = isAll ? "" : `${shown.size} runs`;
});
// Names switch what they name.
for (const key of document.querySelectorAll("svg.plot g.key")) key.addEventListener("click", () => {
  const off = key.classList.toggle("off");
  for (const each of key.closest("svg").querySelectorAll(`[data-series="${key.dataset.series}"]`))
    each.classList.toggle("off", off);
});
// Views of one thing.
for (const views of document.querySelectorAll(".views")) {
  const buttons = [...views.children];
  const pictures = views.parentElement.querySelectorAll(".view");
  buttons.forEach((button, i) => button.addEventListener("click", () => {
    buttons.forEach((each, k) => each.classList.toggle("on", k === i));
    pictures.forEach((each, k) => { each.hidden = k !== i; });
  }));
}
// The pointer shows what a mark says, and on a curve its own place too.
const tip = document.querySelector(".tip");
for (const title of document.querySelectorAll("svg.plot title")) {
  title.parentElement.dataset.says = title.textContent;
  title.remove();
}
const valueAt = (share, axis) => {
  const [low, high, kind] = axis.split(" ");
  return kind === "log" ? low * Math.pow(high / low, share) : Number(low) + share * (high - low);
};
const placeOn = (panel, event) => {
  const [left, top, width, height] = panel.dataset.box.split(" ").map(Number);
  const svg = panel.closest("svg");
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const x = valueAt((point.x - left) / width, panel.dataset.x);
  const y = valueAt(1 - (point.y - top) / height, panel.dataset.y);
  return `\nat ${x.toPrecision(3)}: ${y.toPrecision(3)}`;
};
document.addEventListener("pointermove", event => {
  const mark = event.target.closest ? event.target.closest("svg.plot [data-says]") : null;
  tip.hidden = mark === null;
  if (mark === null) return;
  const panel = mark.closest("g.panel");
  const isCurve = mark.classList.contains("series") && panel && panel.dataset.box;
  tip.textContent = mark.dataset.says + (isCurve ? placeOn(panel, event) : "");
  tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
});
})";

}  // namespace jlcm
