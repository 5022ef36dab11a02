#!/usr/bin/env python3
"""How seconds a row grow with the tokens of a row and with the rows that share a pass.

    training_growth.py --base FOLDER --train_file dev.json --kinds 64:1,128:1,128:4 --rounds 2 -- --quantization_bit 4 --pre_seq_len 128

A kind is TOKENS:ROWS: rows of exactly so many tokens (half of them trained on), so many of them in one pass. The rows are
made of the texts of the file, one after the other, which are cut at the right length. Behind `--` are flags of all runs.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

import training_steps


def rows_of(texts, count):
    """Rows that are longer than any kind, each of other texts."""
    joined, rows = "", []
    for text in texts:
        joined += text
        if len(joined) > 8192:
            rows.append({"content": joined[:4096], "summary": joined[4096:]})
            joined = ""
        if len(rows) == count:
            return rows
    sys.exit(f"the file has text for {len(rows)} rows only")


def main():
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/glmtune")
    parser.add_argument("--base", required=True)
    parser.add_argument("--train_file", required=True)
    parser.add_argument("--kinds", default="64:1,128:1,256:1,512:1,1024:1,128:2,128:4,128:8")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(words[:at])
    kinds = [tuple(map(int, kind.split(":"))) for kind in options.kinds.split(",")]
    texts = [row["summary"] for row in map(json.loads, open(options.train_file, encoding="utf-8"))]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "rows.json")
        rows = rows_of(texts, options.rows)
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        options.train_file = str(file)
        measured = [[] for _ in kinds]
        for _ in range(options.rounds):
            for (tokens, together), times in zip(kinds, measured):
                options.source = options.target = tokens // 2
                flags = ["--max_tokens_per_pass", str(tokens * together if together > 1 else 1)]
                times += training_steps.run(options, words[at + 1 :] + flags)
    for (tokens, together), times in zip(kinds, measured):
        median = statistics.median(times)
        print(f"{tokens} tokens, {together} rows in a pass: median {median:.3f}, best {min(times):.3f} s a row, {1000 * median / tokens:.2f} ms a token")


if __name__ == "__main__":
    main()
