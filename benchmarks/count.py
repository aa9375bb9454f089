"""Count the package's lines of Python, by folder; `--at` counts those of another commit.

    python benchmarks/count.py [--at COMMIT]

A line counts as ruff's formatter leaves it (120 columns), blank lines and docstrings included. Templates, scripts and
catalogues of translations are not Python; they are listed apart.
"""

import argparse
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def git(*words: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print a row for each folder, the longest modules, and what is not Python."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", metavar="COMMIT", default="HEAD")
    asked = parser.parse_args()
    lengths, others = {}, {}
    for name in git("ls-tree", "-r", "--name-only", asked.at, "eailab").splitlines():
        if name.endswith(".py"):
            lengths[name] = git("show", f"{asked.at}:{name}").count("\n")
        elif name.endswith((".js", ".css", ".html", ".j2", ".tex", ".po", ".pot", ".yaml", ".json")):
            others[name] = git("show", f"{asked.at}:{name}").count("\n")
    lines, modules = Counter(), Counter()
    for name, length in lengths.items():
        parts = name.split("/")
        room = parts[1] if len(parts) > 2 else "(top)"
        lines[room] += length
        modules[room] += 1
    for room, count in lines.most_common():
        print(f"{count:7,} lines in {modules[room]:3} modules  {room}")
    print(f"{sum(lengths.values()):7,} lines in {len(lengths):3} modules  eailab")
    print("longest: " + ", ".join(f"{name} {length}" for name, length in Counter(lengths).most_common(5)))
    print("not Python: " + (", ".join(f"{name} {length}" for name, length in sorted(others.items())) or "nothing"))


if __name__ == "__main__":
    main()
