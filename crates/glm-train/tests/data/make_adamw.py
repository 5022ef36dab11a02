"""Writes adamw.json: parameters after every step and the last moments of both AdamW forms, as 32-bit patterns in hex.

Run: python make_adamw.py   (torch 2.8, CPU)

"torch" is torch.optim.AdamW itself (single tensor, no foreach). "hf" is the formula of the AdamW in transformers 4.30
written out with torch operations: epsilon is added to sqrt(v) before the bias correction, which goes into the step size,
and the decay is applied to the updated parameter.
"""

import json
import math
import pathlib
import struct

import torch

BETAS, EPS, RATES = (0.9, 0.999), 1e-8, [0.02, 0.015, 0.0, 0.02, 1e-4, 5e-5]
SIZES = {"w.weight": 67, "w.bias": 5}


def bits(tensor):
    return [struct.pack(">f", x).hex() for x in tensor.reshape(-1).tolist()]


def hf_step(state, p, g, lr, wd):
    b1, b2 = BETAS
    state["step"] += 1
    m, v = state["m"], state["v"]
    m.mul_(b1).add_(g, alpha=1.0 - b1)
    v.mul_(b2).addcmul_(g, g, value=1.0 - b2)
    denom = v.sqrt().add_(EPS)
    size = lr * math.sqrt(1.0 - b2 ** state["step"]) / (1.0 - b1 ** state["step"])
    p.addcdiv_(m, denom, value=-size)
    if wd > 0.0:
        p.add_(p, alpha=-lr * wd)


def run(form, wd, seed):
    g = torch.Generator().manual_seed(seed)
    params = {n: torch.randn(k, generator=g) for n, k in SIZES.items()}
    start = {n: bits(p) for n, p in params.items()}
    decay = {n: "bias" not in n for n in SIZES}
    if form == "torch":
        opt = torch.optim.AdamW(
            [{"params": [params[n]], "weight_decay": wd if decay[n] else 0.0} for n in SIZES],
            lr=0.0, betas=BETAS, eps=EPS, foreach=False,
        )
    states = {n: {"step": 0, "m": torch.zeros(k), "v": torch.zeros(k)} for n, k in SIZES.items()}
    steps = []
    for lr in RATES:
        # Sizes of gradients from tiny to large, some exactly 0, so that epsilon and rounding matter.
        grads = {n: torch.randn(k, generator=g) * 10 ** (torch.rand(k, generator=g) * 12 - 9) for n, k in SIZES.items()}
        for t in grads.values():
            t[0] = 0.0
        for n in SIZES:
            if form == "hf":
                hf_step(states[n], params[n], grads[n], lr, wd if decay[n] else 0.0)
            else:
                params[n].grad = grads[n]
        if form == "torch":
            for group in opt.param_groups:
                group["lr"] = lr
            opt.step()
        steps.append({"lr": lr, "grads": {n: bits(t) for n, t in grads.items()},
                      "params": {n: bits(p) for n, p in params.items()}})
    if form == "torch":
        states = {n: {"m": opt.state[params[n]]["exp_avg"], "v": opt.state[params[n]]["exp_avg_sq"]} for n in SIZES}
    moments = {kind: {n: bits(states[n][key]) for n in SIZES} for kind, key in [("exp_avg", "m"), ("exp_avg_sq", "v")]}
    return {"optim": "adamw_" + form, "weight_decay": wd, "betas": BETAS, "eps": EPS, "start": start, "steps": steps,
            "moments": moments}


runs = [run(form, wd, seed) for seed, (form, wd) in
        enumerate([("torch", 0.0), ("torch", 0.01), ("hf", 0.0), ("hf", 0.01)])]
out = pathlib.Path(__file__).with_name("adamw.json")
out.write_text(json.dumps({"torch": torch.__version__, "decays": ["w.weight"], "runs": runs}) + "\n")
