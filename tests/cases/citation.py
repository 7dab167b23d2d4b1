"""CITATION.cff is what the format wants, and says the version and the paper that the rest of the tree does."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import SOURCE

need_packages("yaml")
import yaml

said = yaml.safe_load((SOURCE / "CITATION.cff").read_text())
assert said["cff-version"] == "1.2.0" and said["type"] == "software"
assert {"message", "title", "authors"} <= said.keys() and all("name" in author or "family-names" in author for author in said["authors"])
versions = re.findall(r"^project\(.*?VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE | re.DOTALL)
assert versions == [said["version"]], (versions, said["version"])
(paper,) = said["references"]
readme = (SOURCE / "README.md").read_text()
identifier = paper["url"].rsplit("/", 1)[1]
assert identifier in readme and paper["identifiers"][0]["value"].endswith(f"arXiv.{identifier}")
assert paper["title"] in " ".join(readme.split()) and f"ICLR {paper['year']}" in readme
assert all(author["family-names"] in readme for author in paper["authors"])
print("the citation is right")
