#!/usr/bin/env python3
"""Greedy answers of llama.cpp to prompts given as token ids, and its ids of chats: to compare a GGUF file with glmtune.

    llama_cpp_greedy.py MODEL.gguf < request.json > answers.json

The request is {"prompts": [[id, ...], ...], "max_new_tokens": n, "chats": [[message, ...], ...]}; the answer {"version": ...,
"tokens": [[id, ...], ...], "chat_ids": [[id, ...], ...]}: what llama.cpp answers to the prompts, an end token included, and
the ids that it makes of the chats. Needs one of the packages xllamacpp and llama-cpp-python; without them the exit code
is 77.
"""

import json
import sys


class XLlamaCpp:
    """llama.cpp's own server, in this process."""

    def __init__(self, path):
        import urllib.request

        import xllamacpp

        self.version = "xllamacpp " + xllamacpp.__version__
        self.request = urllib.request
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = 512
        params.n_parallel = 1
        params.warmup = False
        params.port = 0
        params.cpuparams.n_threads = 2
        self.server = xllamacpp.Server(params)

    def greedy(self, prompt, limit):
        body = {"prompt": prompt, "n_predict": limit, "temperature": 0, "return_tokens": True, "cache_prompt": False}
        return self.post("/completion", body)["tokens"]

    def post(self, route, body):
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = self.request.Request(self.server.listening_address + route, data=data, headers=headers)
        with self.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def ids(self, text):
        return self.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def chat_prompt(self, messages):
        return self.post("/apply-template", {"messages": messages})["prompt"]


class LlamaCppPython:
    """The bindings of llama-cpp-python."""

    def __init__(self, path):
        import llama_cpp

        self.version = "llama-cpp-python " + llama_cpp.__version__
        self.model = llama_cpp.Llama(path, n_ctx=512, n_threads=2, verbose=False)

    def greedy(self, prompt, limit):
        tokens = []
        self.model.reset()
        for token in self.model.generate(prompt, temp=0.0, reset=True):
            tokens.append(token)
            if token == self.model.token_eos() or len(tokens) == limit:
                break
        return tokens

    def ids(self, text):
        return self.model.tokenize(text.encode(), add_bos=True, special=True)

    def chat_prompt(self, messages):
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        template = self.model.metadata["tokenizer.chat_template"]
        return Jinja2ChatFormatter(template, eos_token="", bos_token="")(messages=messages).prompt


def main():
    request = json.load(sys.stdin)
    for engine in (XLlamaCpp, LlamaCppPython):
        try:
            model = engine(sys.argv[1])
        except ImportError:
            continue
        answers = {
            "version": model.version,
            "tokens": [model.greedy(prompt, request["max_new_tokens"]) for prompt in request["prompts"]],
            "chat_ids": [model.ids(model.chat_prompt(messages)) for messages in request["chats"]],
        }
        json.dump(answers, sys.stdout)
        return 0
    print("neither xllamacpp nor llama-cpp-python is installed", file=sys.stderr)
    return 77


if __name__ == "__main__":
    sys.exit(main())
