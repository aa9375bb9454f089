"""A target for atheris: led by the lines of the reader that are reached, it looks for a text that defeats it.

Run:  uv run --group fuzz python tests/faults/fuzz_recipes.py FOLDER -atheris_runs=20000 [libFuzzer's other options]

FOLDER takes `corpus/`, the texts that reached something new, the text `slowest`, and `counts.json`. Exit code 0: no
text made the reader fail or swell; else it is in a file `crash-…` there. Code that counts its lines takes some ten
times as long, so that seconds are only judged by reading corpus and slowest text again, as `test_recipes.py` does.
"""

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["eailab.recipe", "yaml"]):
    import eailab.recipe.load  # noqa: F401 - for its lines to be counted, it is imported here first

from texts import FRAGMENTS, MOST_SECONDS, Judge, malformed, shipped

LONGEST_WORD = 60
"""Bytes of a word in libFuzzer's dictionary."""

MOST_SECONDS_WHILE_COUNTED = 20 * MOST_SECONDS


def main(folder, *options):
    """Look for bad texts until the runs are used up; does not return."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    fragments = [fragment.encode("utf-8", "surrogatepass") for fragment in FRAGMENTS]
    for number, text in enumerate([*shipped(), *malformed(), *fragments]):
        (corpus / f"seed-{number}").write_bytes(text)
    words = [fragment for fragment in fragments if len(fragment) <= LONGEST_WORD]
    dictionary = folder / "words.txt"
    dictionary.write_text("".join('"' + "".join(map("\\x{:02x}".format, word)) + '"\n' for word in words))
    judge = Judge(folder / "recipe.yaml", MOST_SECONDS_WHILE_COUNTED)

    def read(text):
        judge(text)
        (folder / "slowest").write_bytes(judge.slowest)
        (folder / "counts.json").write_text(json.dumps(judge.counts()))

    given = ["-max_len=8192", "-timeout=300", f"-dict={dictionary}", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], str(corpus), *given, *options], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
