"""Writes python_json.json: floats as json.dumps prints them, and as round() rounds them. Run: python make_python_json.py"""

import json
import math
import pathlib
import random
import struct

random.seed(3)
values = [0.0, -0.0, 1.0, 3.0, 0.02, 1e-05, 2.9976019184652278, 0.016666666666666666, 1e15, 1e16, 123456789012345680.0,
          1.2345e17, 5e-324, 1.7976931348623157e308, 1e22, 1e-4, 9.999e-5, 0.1, 2e-2, 5e-05, 0.30000000000000004, 1e100,
          2180197304852177.25, 0.125, 0.375, 2.5, 0.00005, 0.00015, 8.11115, 2.675, 0.5, 1.5, 1e300]
values += [random.uniform(-10, 10) for _ in range(40)]
values += [random.uniform(0, 1) * 10 ** random.randint(-20, 25) for _ in range(40)]
values += [random.randint(0, 200000) / 16 ** random.randint(1, 4) for _ in range(40)]
while len(values) < 200:
    x = struct.unpack(">d", random.randbytes(8))[0]
    if math.isfinite(x):
        values.append(x)
rows = [{"bits": struct.pack(">d", x).hex(), "repr": json.dumps(x), "round2": json.dumps(round(x, 2)),
         "round4": json.dumps(round(x, 4))} for x in values]
texts = ["plain", "上衣 😀", 'q"b\\s/', "a\nb\tc\rd\be\ff\x00g\x7fh\x80i\u2028", ""]
sample = {"b": [], "a": {}, "n": None, "t": True, "list": [1, 2.5, {"z": 1e-05, "y": "版"}], "big": 2**60}
out = pathlib.Path(__file__).with_name("python_json.json")
out.write_text(json.dumps({
    "floats": rows,
    "texts": [[t, json.dumps(t)] for t in texts],
    "sample": sample,
    "indent2": json.dumps(sample, indent=2, sort_keys=True),
    "indent4": json.dumps(sample, indent=4, sort_keys=True),
    "line": json.dumps(sample, sort_keys=True),
}) + "\n")
