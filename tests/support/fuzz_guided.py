"""The parsers of fuzz_parsers.py by coverage: python fuzz_guided.py FOLDER SECONDS PARSER, see tests/README.md.

atheris (libFuzzer) changes the bytes of a whole file, and keeps what reaches new code of the library and of what it imports
that is Python. What is a fault, and the bounds, are those of fuzz_worker.py. Ends with 0, or with a trace and the bytes
that led to it in FOLDER/PARSER.crash-DIGEST. Interesting files stay in FOLDER/PARSER.corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

# what is to be seen from within: imported now, or by a parser that reads its whole file
SEEN = ["distillery", "yaml", "gguf"]
with atheris.instrument_imports(include=SEEN):
    import fuzz_worker
    from fuzz_parsers import PARSERS


def quoted(word: bytes) -> str:
    """A line of libFuzzer's dictionaries."""
    return f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word[:60])}"\n'


if __name__ == "__main__":
    folder, seconds, name = Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3]
    fuzz_worker.begin(folder)
    with atheris.instrument_imports(include=SEEN):
        path, data = fuzz_worker.whole(name, folder)
    corpus, words = folder / f"{name}.corpus", folder / f"{name}.words"
    corpus.mkdir()
    (corpus / "whole").write_bytes(data)
    words.write_text("".join(map(quoted, fuzz_worker.TASTY)))
    line = [
        sys.argv[0],
        str(corpus),
        f"-dict={words}",
        f"-max_total_time={seconds}",
        f"-max_len={2 * len(data) + 1000}",
        f"-artifact_prefix={folder / name}.",
        "-timeout=0",  # time and memory are fuzz_worker's to bound
        "-rss_limit_mb=0",
        "-print_final_stats=1",
    ]
    atheris.Setup(line, lambda given: fuzz_worker.attempt(PARSERS[name][2], path, given) and None)
    atheris.Fuzz()
