"""The measured figures of docs/recipes.md are those of the records in results/."""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE

measured = re.search(r"<!-- measured -->\n(.*?)<!-- end -->", (SOURCE / "docs/recipes.md").read_text(), re.DOTALL).group(1)
rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in measured.splitlines()[2:]]
assert len(rows) >= 6
for _, link, *stated in rows:
    name = re.fullmatch(r"\[(\w+)\]\(\.\./results/\1\)", link).group(1)
    record = json.loads((SOURCE / "results" / name / "result.json").read_text())
    stages, environment, evaluation = record["stages"], record["environment"], record["evaluations"][0]
    assert evaluation["protocol"]["text"] == "wikitext-2-raw-test" and evaluation["protocol"]["context"] == 2048
    processor = "Xeon" if "Xeon" in environment["cpu"] else "AMD"
    assert processor in environment["cpu"], environment["cpu"]
    is_figure = [
        f"{record['footprint']['linear_bits_per_weight']:.3f}",
        f"{processor}, {environment['threads']}",
        f"{sum(stage['seconds'] for stage in stages if stage['name'] != 'evaluate') / 60:.1f}",
        f"{max(stage['peak_memory_bytes'] for stage in stages) / 1e9:.2f}",
        f"{evaluation['compressed']:.2f}",
        f"{evaluation['kl']:.2f}",
        f"{evaluation['protocol']['windows']}",
    ]
    assert stated == is_figure, f"{name}: the page says {stated}, the record {is_figure}"
print(f"{len(rows)} recipes are as their records say")
