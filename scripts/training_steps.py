#!/usr/bin/env python3
"""Seconds a row of `glmtune train` with several sets of flags, in turn.

    training_steps.py --base FOLDER --train_file dev.json --steps 4 --rounds 3 \\
        -- --quantization_bit 4 --pre_seq_len 128 -- -- --compute int8 -- --threads 1

Behind the first `--` are the flags of all runs, behind each further one those of one kind. A time is that between two
lines "step N" of the program, so loading and the first step are left out.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time


def run(options, flags):
    """Seconds a row of every step but the first."""
    with tempfile.TemporaryDirectory() as folder:
        rows = str(options.rows)
        command = [options.binary, "train", "--do_train", "--model_name_or_path", options.base]
        command += ["--train_file", options.train_file, "--max_train_samples", rows, "--gradient_accumulation_steps", rows]
        command += ["--per_device_train_batch_size", "1", "--max_source_length", str(options.source)]
        command += ["--max_target_length", str(options.target)]
        command += ["--max_steps", str(options.steps), "--logging_steps", "1", "--output_dir", folder + "/run", *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        times, said = [], ""
        for line in process.stdout:
            said += line
            if re.match(r"step \d+  loss", line):
                times.append(time.monotonic())
        if process.wait() != 0 or len(times) != options.steps:
            sys.exit(said)
        return [(after - before) / options.rows for before, after in zip(times, times[1:])]


def main():
    groups = [[]]
    for word in sys.argv[1:]:
        if word == "--":
            groups.append([])
        else:
            groups[-1].append(word)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/glmtune")
    parser.add_argument("--base", required=True)
    parser.add_argument("--train_file", required=True)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--source", type=int, default=64, help="--max_source_length")
    parser.add_argument("--target", type=int, default=128, help="--max_target_length")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(groups[0])
    shared, kinds = (groups[1] if len(groups) > 1 else []), groups[2:] or [[]]
    measured = [[] for _ in kinds]
    for _ in range(options.rounds):
        for kind, times in zip(kinds, measured):
            times += run(options, shared + kind)
    first, best = statistics.median(measured[0]), min(measured[0])
    for kind, times in zip(kinds, measured):
        median = statistics.median(times)
        print(
            f"{' '.join(kind) or '(nothing more)'}: median {median:.3f}, best {min(times):.3f} s a row of {len(times)} steps; "
            f"{first / median:.2f} (best {best / min(times):.2f}) times as fast as the first"
        )


if __name__ == "__main__":
    main()
