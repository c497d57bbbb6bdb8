"""Install this project into the environment that runs this script, by pointing at its source.

The same as an editable install, without a build tool in the environment of those who only serve:
a path file, the launchers of `[project.scripts]`, and metadata, so that `importlib.metadata` and
`pip check` know the project.
"""

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

LAUNCHER = """\
#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def main() -> None:
    """Write the path file, the metadata and the launchers, over those of an earlier run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    packages = Path(sysconfig.get_path("purelib"))

    for stale in packages.glob(f"{name}-*.dist-info/*"):
        stale.unlink()
    for stale in packages.glob(f"{name}-*.dist-info"):
        stale.rmdir()

    path_file = packages / f"{name}-source.pth"
    path_file.write_text(f"{ROOT / 'src'}\n", "utf-8")
    written = [path_file]

    for command, target in project["scripts"].items():
        module, function = target.split(":")
        launcher = Path(sysconfig.get_path("scripts")) / command
        text = LAUNCHER.format(python=sys.executable, module=module, function=function)
        launcher.write_text(text, "utf-8")
        launcher.chmod(0o755)
        written.append(launcher)

    about = packages / f"{name}-{version}.dist-info"
    about.mkdir()
    facts = ["Metadata-Version: 2.3", f"Name: {name}", f"Version: {version}"]
    facts += [f"Requires-Python: {project['requires-python']}"]
    facts += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    record = [str(file) for file in written]
    record += [f"{about.name}/{file}" for file in ("METADATA", "INSTALLER", "RECORD")]
    (about / "METADATA").write_text("\n".join(facts) + "\n", "utf-8")
    (about / "INSTALLER").write_text("scripts/link_source.py\n", "utf-8")
    (about / "RECORD").write_text("".join(f"{entry},,\n" for entry in record), "utf-8")


if __name__ == "__main__":
    main()
