"""What a run can be refused for without computing anything is found by --dry-run, and by jlcm-run before it makes a
directory; all of it at once."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets

need_assets()
shutil.rmtree("out", ignore_errors=True)
Path("short.txt").write_text("Once upon a time.\n")
short = "{type: text_file, path: ./short.txt}"
missing = "{type: text_file, path: ./missing.txt}"


def refused(*settings, says):
    sets = [word for each in settings for word in ("--set", each)]
    for arguments in (["--dry-run"], ["--out", "out"]):
        _, said = call("jlcm-run", STORIES, *sets, *arguments, code=2)
        for text in says:
            assert text in said, f"{settings} {arguments} says\n{said}\nwithout {text}"
        assert not Path("out").exists(), "a refused run made a directory"


refused(f"calibration.dataset=[{missing}]", f"evaluate.0.dataset={short}", "evaluate.0.context=100000",
        says=["missing.txt", "a context of 100000 tokens is beyond the model's"])
refused(f"calibration.dataset=[{short}]", says=["short"])
refused(f"evaluate.0.dataset={short}", says=["fewer than one window"])
refused(f"evaluate.0.dataset={missing}", says=["missing.txt"])
refused("calibration.length=100000", says=["windows of 100000 tokens are beyond"])
refused("evaluate.0={type: classification, dataset: {type: image_folder, path: ./nowhere}}", says=["nowhere"])
refused("evaluate.0={type: embedding, dataset: c4-sample}", says=["it is no encoder"])
refused("compress.grouping={type: vectors, dimension: 7}", says=["dimension"])
refused("compress.grouping={type: vectors, dimension: 2}", "compress.learn={steps: 2, estimator: curvature}",
        says=["compress.learn.estimator curvature moves codes of single weights", "frozen", "nearest"])
refused("compress.distill={steps: 0}", says=["leave distill out"])
refused("model.outputs=[{name: logits}]", says=["model.outputs"])
print("refused before anything was made")
