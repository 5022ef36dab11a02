#!/usr/bin/env python3
"""Loss curves of the same fine-tuning with products in different numbers (--compute).

    glmtune demo --output_dir demo
    compare_compute.py --base demo/base --rows demo/data/train.json --output_dir curves --seeds 42,1 -- \
        --quantization_bit 4 --pre_seq_len 32 --max_source_length 64 --max_target_length 64 \
        --per_device_train_batch_size 8 --learning_rate 2e-2

Everything behind -- goes to `glmtune train`. A line of the table is the mean loss of the steps since the line before; the
last lines are, for each seed and kind of number, how far its lines are from those of the first kind (mean of the
differences without their sign), and the seconds that the run took. Seeds among themselves show what chance does.
"""

import argparse
import json
import pathlib
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--glmtune", default="glmtune")
parser.add_argument("--base", required=True)
parser.add_argument("--rows", required=True)
parser.add_argument("--output_dir", required=True, type=pathlib.Path)
parser.add_argument("--kinds", default="f32,bf16,int8")
parser.add_argument("--seeds", default="42")
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--every", type=int, default=25)
parser.add_argument("flags", nargs="*", help="further flags of glmtune train, behind --")
arguments = parser.parse_args()


def curve(kind, seed):
    """Losses by step, and seconds."""
    folder = arguments.output_dir / f"{kind}-{seed}"
    command = [
        arguments.glmtune, "train", "--do_train", "--model_name_or_path", arguments.base, "--train_file", arguments.rows,
        "--output_dir", str(folder), "--overwrite_output_dir", "--compute", kind, "--seed", seed,
        "--max_steps", str(arguments.steps), "--logging_steps", str(arguments.every), "--save_steps", str(arguments.steps),
        *arguments.flags,
    ]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - began
    lines = [json.loads(line) for line in (folder / "trainer_log.jsonl").read_text().splitlines()]
    return {line["current_steps"]: line["loss"] for line in lines if line["loss"] is not None}, seconds


kinds, seeds = arguments.kinds.split(","), arguments.seeds.split(",")
runs = {(seed, kind): curve(kind, seed) for seed in seeds for kind in kinds}
losses = {run: found[0] for run, found in runs.items()}
print("| steps | " + " | ".join(f"{kind}, seed {seed}" for seed, kind in runs) + " |")
print("|---" * (len(runs) + 1) + "|")
for step in next(iter(losses.values())):
    print(f"| {step} | " + " | ".join(f"{losses[run][step]:.4f}" for run in runs) + " |")


def distance(run):
    """Of its curve from that of the first kind."""
    first = losses[run[0], kinds[0]]
    return sum(abs(losses[run][step] - loss) for step, loss in first.items()) / len(first)


print("| difference | " + " | ".join(f"{distance(run):.4f}" for run in runs) + " |")
print("| seconds | " + " | ".join(f"{runs[run][1]:.0f}" for run in runs) + " |")
