"""Writes clip.json: torch.nn.utils.clip_grad_norm_ on random gradients, as 32-bit patterns in hex. Run: python make_clip.py"""

import json
import pathlib
import struct

import torch


def bits(tensor):
    return [struct.pack(">f", x).hex() for x in tensor.reshape(-1).tolist()]


g = torch.Generator().manual_seed(5)
cases = []
for scale, limit in [(0.01, 1.0), (1.0, 1.0), (30.0, 0.5), (1e-4, 1e-3), (1.0, 1e9)]:
    params = [torch.zeros(k, requires_grad=True) for k in (101, 7, 1)]
    for p in params:
        p.grad = torch.randn(p.shape, generator=g) * scale
    before = [bits(p.grad) for p in params]
    norm = torch.nn.utils.clip_grad_norm_(params, limit)
    cases.append({"max_norm": limit, "grads": before, "norm": bits(norm)[0], "clipped": [bits(p.grad) for p in params]})
out = pathlib.Path(__file__).with_name("clip.json")
out.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")
