"""Time of one training sample, forward and backward, with the official PyTorch code of ChatGLM2: P-Tuning v2 or LoRA.

    glmtune data check dev.json --model_name_or_path BASE --max_source_length 64 --max_target_length 128 --show 16 --json > rows.json
    python scripts/pytorch_training_rival.py --code MODELING_PACKAGE --base BASE --rows rows.json

MODELING_PACKAGE is a folder with the official configuration_chatglm.py, modeling_chatglm.py and quantization.py (and an
__init__.py). Three forms are timed: f32 and bf16 as the official script trains (rows padded to the sum of the limits and
one, gradient checkpointing on), and bf16 with neither.
"""

import argparse
import importlib
import json
import os
import sys
import time

import torch

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--code", required=True)
parser.add_argument("--base", required=True)
parser.add_argument("--rows", required=True)
parser.add_argument("--length", type=int, default=193, help="tokens that a row is padded to")
parser.add_argument("--pre_seq_len", type=int, default=128)
parser.add_argument("--lora_rank", type=int, default=0, help="LoRA on query_key_value instead of a prefix (needs peft)")
parser.add_argument("--forms", default="f32,bf16,bf16-bare")
arguments = parser.parse_args()

sys.path.insert(0, os.path.dirname(os.path.abspath(arguments.code)))
package = os.path.basename(os.path.abspath(arguments.code))
configuration = importlib.import_module(package + ".configuration_chatglm")
modeling = importlib.import_module(package + ".modeling_chatglm")

with open(os.path.join(arguments.base, "config.json"), encoding="utf-8") as file:
    settings = json.load(file)
settings.pop("auto_map", None)
if not arguments.lora_rank:
    settings["pre_seq_len"], settings["prefix_projection"] = arguments.pre_seq_len, False
config = configuration.ChatGLMConfig(**settings)
with open(arguments.rows, encoding="utf-8") as file:
    shown = [row["tokens"] for row in json.load(file)["shown"]]
rows = [([token["id"] for token in row], [-100 if token["label"] is None else token["label"] for token in row]) for row in shown]

for form in arguments.forms.split(","):
    model = modeling.ChatGLMForConditionalGeneration.from_pretrained(arguments.base, config=config)
    model = model.to(torch.float32 if form == "f32" else torch.bfloat16)
    if arguments.lora_rank:
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(r=arguments.lora_rank, lora_alpha=32, lora_dropout=0.0, target_modules=["query_key_value"])
        inner = model
        model = get_peft_model(model, lora)
    else:
        inner = model
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "prefix_encoder" in name
        model.transformer.prefix_encoder.float()
    model.train()
    bare = form.endswith("bare")
    if not bare:
        inner.gradient_checkpointing_enable()
        inner.enable_input_require_grads()
    inner.config.use_cache = False
    seconds = []
    for ids, labels in rows:
        padding = 0 if bare else arguments.length - len(ids)
        batch = torch.tensor([ids + [0] * padding])
        targets = torch.tensor([labels + [-100] * padding])
        began = time.perf_counter()
        model(input_ids=batch, labels=targets).loss.backward()
        seconds.append(time.perf_counter() - began)
        model.zero_grad(set_to_none=True)
    warm = seconds[1:]
    print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {form}: {sum(warm) / len(warm):.3f} s a row "
        f"(mean of {len(warm)}, shortest {min(warm):.3f})",
        flush=True,
    )
    del model, inner
