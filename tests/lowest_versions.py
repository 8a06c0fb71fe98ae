"""The lowest versions that pyproject.toml promises, as constraints for pip: ``click==8.2``, a line each."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
lists = [project["dependencies"], *project["optional-dependencies"].values()]
for requirement in (each for requirements in lists for each in requirements):
    name, version = re.fullmatch(r"([\w-]+)[>=]=([\w.]+)", requirement).groups()
    print(f"{name}=={version}")
