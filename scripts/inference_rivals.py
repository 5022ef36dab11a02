#!/usr/bin/env python3
"""Times of prompts and answers of glmtune, llama.cpp and chatglm.cpp, over the same base and the same token ids, in turn.

    cargo build --workspace --release --bins --examples
    target/release/glmtune export --model_name_or_path BASE --to gguf --gguf_type q4_0 --out base-q4_0.gguf
    inference_rivals.py convert BASE base-q4_0.ggml
    inference_rivals.py run --base BASE --gguf base-q4_0.gguf --ggml base-q4_0.ggml

`convert` writes a ChatGLM2 folder as chatglm.cpp's own converter does, q4_0 throughout (needs chatglm-cpp, torch,
transformers 4.30.2, sentencepiece). `run` starts each engine once, with two threads, and lets them work in turn, so that
whatever else the machine does slows all of them; medians and the best are printed. Rows of answers are timed without the
first token, which belongs to the prompt. The interpreters that hold the rivals are given by --llama_python (with
llama-cpp-python or xllamacpp) and --chatglm_python. An engine whose package is missing is left out, and said so.
The instruction sets of llama.cpp are printed with its name: wheels that are built elsewhere may lack AVX-512, which the
fastest llama.cpp of this machine has (`CMAKE_ARGS=-DGGML_NATIVE=ON pip install llama-cpp-python`). Other work on the machine
slows engines whose threads wait for one another in a loop more than others: measure on an idle one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import types

THREADS = 2


def prompt(length):
    """The ids that glmtune's example takes."""
    return [100 + i * 7919 % 50_000 for i in range(length)]


def serve(name, times):
    """Answers lines `P N` by seconds of a prompt of P tokens and of N tokens after the first answered one."""
    print("ready", name, flush=True)
    for line in sys.stdin:
        length, answer = map(int, line.split())
        print(*times(prompt(length), answer), flush=True)


def worker_chatglm(path):
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    import chatglm_cpp
    from chatglm_cpp import _C

    model = chatglm_cpp.Pipeline(path, max_length=2048).model
    config = _C.GenerationConfig(do_sample=False)

    def times(ids, answer):
        ids, read = list(ids), len(ids)
        began = time.perf_counter()
        ids.append(model.generate_next_token(ids, None, config, 0, read))
        first = time.perf_counter()
        for _ in range(answer):
            ids.append(model.generate_next_token(ids, None, config, len(ids) - 1, read))
        return first - began, time.perf_counter() - first

    serve("chatglm.cpp (chatglm-cpp %s)" % chatglm_cpp.__version__, times)


def worker_llama(path):
    try:
        import llama_cpp
    except ImportError:
        return worker_xllamacpp(path)
    model = llama_cpp.Llama(path, n_ctx=2048, n_batch=512, n_ubatch=512, n_threads=THREADS, n_threads_batch=THREADS, verbose=False)

    def times(ids, answer):
        model.reset()
        began = time.perf_counter()
        model.eval(ids)
        token = model.sample(temp=0.0)
        first = time.perf_counter()
        for _ in range(answer):
            model.eval([token])
            token = model.sample(temp=0.0)
        return first - began, time.perf_counter() - first

    info = llama_cpp.llama_print_system_info().decode()
    serve("llama.cpp (llama-cpp-python %s; %s)" % (llama_cpp.__version__, features(info)), times)


def worker_xllamacpp(path):
    import urllib.request

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 2048
    params.n_parallel = 1
    params.port = 0
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    server = xllamacpp.Server(params)

    def times(ids, answer):
        body = {"prompt": ids, "n_predict": answer + 1, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
        data = json.dumps(body).encode()
        request = urllib.request.Request(server.listening_address + "/completion", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as reply:
            timings = json.load(reply)["timings"]
        # The server counts the first token to the prompt, and times the others alone.
        return timings["prompt_ms"] / 1e3, timings["predicted_per_token_ms"] * answer / 1e3

    info = xllamacpp.get_system_info()
    serve("llama.cpp (xllamacpp %s; %s)" % (xllamacpp.__version__, features(info)), times)


def features(info):
    names = ("AVX2", "AVX512_BF16", "AVX512_VNNI", "AVX512")
    return "+".join(name for name in names if name + " = 1" in info) or "no vector features named"


def convert(base, out):
    import sentencepiece
    import torch
    from chatglm_cpp import convert as converter

    with open(os.path.join(base, "config.json"), encoding="utf-8") as file:
        config = types.SimpleNamespace(**json.load(file))
    with open(os.path.join(base, "pytorch_model.bin.index.json"), encoding="utf-8") as file:
        shards = sorted(set(json.load(file)["weight_map"].values()))
    tensors = {}
    for shard in shards:
        tensors.update(torch.load(os.path.join(base, shard), map_location="cpu", mmap=True))

    class Floats(dict):
        def __getitem__(self, name):
            return super().__getitem__(name).float()

    model = types.SimpleNamespace(config=config, state_dict=lambda: Floats(tensors))
    words = sentencepiece.SentencePieceProcessor(os.path.join(base, "tokenizer.model"))
    tokenizer = types.SimpleNamespace(tokenizer=types.SimpleNamespace(sp_model=words))
    with open(out, "wb") as file:
        converter.ChatGLM2Converter.convert(file, model, tokenizer, converter.GGMLType.Q4_0)


class Engine:
    """An engine in a process of its own."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.measured = {}
        while (line := self.process.stdout.readline()) and not line.startswith("ready"):
            pass
        self.ready = bool(line)
        self.name = line[len("ready") :].strip() or name

    def time(self, length, answer):
        # Threads of the engine before may still wait for one another in a loop.
        time.sleep(0.5)
        self.process.stdin.write(f"{length} {answer}\n")
        self.process.stdin.flush()
        read, answered = map(float, self.process.stdout.readline().split())
        return read, answered


def run(arguments):
    timings = os.path.join(arguments.target, "examples", "timings")
    environment = ["env", f"RAYON_NUM_THREADS={THREADS}"]
    engines = [
        Engine(f"glmtune {form}", [*environment, timings, arguments.base, *form.replace(" output ", " ").split()])
        for form in arguments.forms.split(",")
    ]
    this = os.path.abspath(__file__)
    if arguments.gguf:
        engines.append(Engine("llama.cpp", [arguments.llama_python, this, "worker", "llama", arguments.gguf]))
    if arguments.ggml:
        engines.append(Engine("chatglm.cpp", [arguments.chatglm_python, this, "worker", "chatglm", arguments.ggml]))
    for engine in engines:
        if not engine.ready:
            print(engine.name, "did not start: is its package installed?", file=sys.stderr)
    engines = [engine for engine in engines if engine.ready]
    lengths = [int(length) for length in arguments.prompts.split(",")]
    work = [(length, 0) for length in lengths] + [(64, arguments.answer)]
    for number in range(arguments.repeats + 1):
        for engine in engines:
            for length, answer in work:
                read, answered = engine.time(length, answer)
                # The first round warms caches.
                if number > 0:
                    key = f"prompt of {length}" if answer == 0 else "answer"
                    rate = length / read if answer == 0 else answer / answered
                    engine.measured.setdefault(key, []).append(rate)
    columns = list(engines[0].measured)
    print("tokens a second, median (best) of", arguments.repeats)
    print(f"{'':<72}" + "".join(f"{name:>22}" for name in columns))
    for engine in engines:
        rates = [f"{statistics.median(rates):.1f} ({max(rates):.1f})" for rates in engine.measured.values()]
        print(f"{engine.name:<72}" + "".join(f"{rate:>22}" for rate in rates))


def main():
    if sys.argv[1:2] == ["worker"]:
        return {"llama": worker_llama, "chatglm": worker_chatglm}[sys.argv[2]](sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    converting = verbs.add_parser("convert")
    converting.add_argument("base")
    converting.add_argument("out")
    running = verbs.add_parser("run")
    running.add_argument("--base", required=True)
    running.add_argument("--gguf")
    running.add_argument("--ggml")
    running.add_argument("--forms", default="int4/32 output int8,int4 output int4,int4")
    running.add_argument("--prompts", default="128,512")
    running.add_argument("--answer", type=int, default=64)
    running.add_argument("--repeats", type=int, default=5)
    running.add_argument("--target", default="target/release")
    running.add_argument("--llama_python", default=sys.executable)
    running.add_argument("--chatglm_python", default=sys.executable)
    arguments = parser.parse_args()
    if arguments.verb == "convert":
        convert(arguments.base, arguments.out)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
