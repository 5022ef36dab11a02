#!/usr/bin/env python3
"""Load on a running server of OpenAI's API: `glmtune serve`, or another one.

    serve_load.py load --url http://127.0.0.1:8000 --models base:a0,base:a1 --rows dev.json --clients 1,8,32,128 --tokens 32
    serve_load.py soak --url http://127.0.0.1:8000 --models base,base:a0 --rows dev.json --minutes 10 --pid PID

load: so many clients at a time, each of which asks again when it has its answer; every request is a row of the file, greedy, with
`--tokens` tokens at most, streamed. Prints answers and tokens a second, and the median and 99th percentile of the time to the
first token and from one token to the next (which a client sees as one event after another).

soak: for some minutes clients ask, leave in the middle, send bad JSON, wrong fields, bodies that are too long, and stop sending.
Every answer is compared with the one that the same question got at first, alone; at the end nothing may run or wait. The
resident memory of `--pid` is printed every half minute.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
import urllib.parse


class Server:
    def __init__(self, options):
        url = urllib.parse.urlparse(options.url)
        self.host, self.port, self.key = url.hostname, url.port or 80, options.key

    async def send(self, method, path, body=b"", length=None):
        """Opens a connection and sends a request; returns the reader, the writer and the status."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n{key}"
        length = len(body) if length is None else length
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode() + body)
        await writer.drain()
        return reader, writer

    async def status(self, reader):
        line = await reader.readline()
        if not line:
            return 0
        while (await reader.readline()) not in (b"\r\n", b""):
            pass
        return int(line.split()[1])

    async def whole(self, method, path, body=b""):
        reader, writer = await self.send(method, path, body)
        status = await self.status(reader)
        text = await reader.read()
        writer.close()
        return status, text


def question(model, prompt, tokens, stream=True, temperature=0):
    messages = [{"role": "user", "content": prompt}]
    body = {"model": model, "messages": messages, "temperature": temperature, "max_tokens": tokens, "stream": stream}
    return json.dumps(body).encode()


async def answer(server, body, leave_after=None):
    """Status, text, and the times at which its pieces came. `leave_after`: pieces after which the connection is cut."""
    reader, writer = await server.send("POST", "/v1/chat/completions", body)
    times, text = [], ""
    try:
        status = await server.status(reader)
        if status != 200:
            return status, (await reader.read()).decode(errors="replace"), times
        while line := await reader.readline():
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                return 500, json.dumps(event), times
            delta = event["choices"][0].get("delta", {}).get("content") if event.get("choices") else None
            if delta:
                times.append(time.perf_counter())
                text += delta
                if leave_after is not None and len(times) > leave_after:
                    return 0, text, times
        return status, text, times
    finally:
        writer.close()


def share(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")


async def load(options, prompts):
    server, models = Server(options), options.models.split(",")
    for clients in map(int, options.clients.split(",")):
        count = max(clients * options.rounds, options.least)
        numbers, first, between, tokens, failed = iter(range(count)), [], [], 0, 0
        began = time.perf_counter()

        async def client():
            nonlocal tokens, failed
            for number in numbers:
                model, prompt = models[number % len(models)], prompts[number % len(prompts)]
                body = question(model, prompt, options.tokens, temperature=options.temperature)
                asked = time.perf_counter()
                status, _, times = await answer(server, body)
                if status != 200 or not times:
                    failed += 1
                    continue
                first.append(times[0] - asked)
                between.extend(b - a for a, b in zip(times, times[1:]))
                tokens += len(times)

        await asyncio.gather(*(client() for _ in range(clients)))
        seconds = time.perf_counter() - began
        print(
            f"| {clients} | {len(models)} | {len(first) / seconds:.2f} | {tokens / seconds:.1f} "
            f"| {statistics.median(first):.2f} / {share(first, 99):.2f} "
            f"| {1000 * statistics.median(between):.0f} / {1000 * share(between, 99):.0f} |"
            + (f" {failed} failed" if failed else ""),
            flush=True,
        )


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


async def soak(options, prompts):
    server, models, dice = Server(options), options.models.split(","), random.Random(options.seed)
    prompts = prompts[:16]
    known = {}
    for model in models:
        for prompt in prompts:
            status, text, _ = await answer(server, question(model, prompt, options.tokens))
            assert status == 200, text
            known[model, prompt] = text
    counts, end = {}, time.monotonic() + 60 * options.minutes

    def count(what):
        counts[what] = counts.get(what, 0) + 1

    async def good(leave):
        model, prompt = dice.choice(models), dice.choice(prompts)
        leave_after = dice.randrange(1, 8) if leave else None
        status, text, _ = await answer(server, question(model, prompt, options.tokens), leave_after)
        if status == 0:
            assert known[model, prompt].startswith(text), f"{text!r} does not begin {known[model, prompt]!r}"
            return count("left in the middle")
        if status == 429:
            count("refused, queue full")
            return await asyncio.sleep(dice.random())
        assert status == 200, (status, text)
        assert text == known[model, prompt], f"{text!r} instead of {known[model, prompt]!r}"
        count("answered as alone")

    async def bad():
        bodies = [b"{", b"[]", b"\xff\xfe", b'{"messages": 5}', b'{"messages": [{"role": "robot", "content": "x"}]}',
                  question("none", "x", 5), question(models[0], "x", -1), question(models[0], "x" * 200_000, 5), b"[" * 50_000]
        status, _ = await server.whole("POST", "/v1/chat/completions", dice.choice(bodies))
        assert status in (400, 404, 413), status
        count("malformed, refused")

    async def oversized():
        try:
            status, _ = await server.whole("POST", "/v1/completions", b"x" * 6_000_000)
            assert status == 413, status
        except ConnectionError:
            pass
        count("oversized, refused")

    async def stuck():
        """Says more than it sends, and goes after a while."""
        reader, writer = await server.send("POST", "/v1/chat/completions", b"{", length=1000)
        await asyncio.sleep(dice.random() * 3)
        writer.close()
        count("stopped sending")

    async def client():
        while time.monotonic() < end:
            roll = dice.random()
            try:
                await (good(False) if roll < 0.6 else good(True) if roll < 0.8 else bad() if roll < 0.94 else oversized() if roll < 0.97 else stuck())
            except ConnectionError as error:
                count(f"connection: {error}")

    async def watch():
        while time.monotonic() < end:
            if options.pid:
                print(f"{time.strftime('%H:%M:%S')}  {resident(options.pid)} MB resident  {sum(counts.values())} requests", flush=True)
            await asyncio.sleep(30)

    await asyncio.gather(watch(), *(client() for _ in range(options.soak_clients)))
    await asyncio.sleep(2)
    _, metrics = await server.whole("GET", "/metrics")
    left = [line for line in metrics.decode().splitlines() if line.startswith(("glmtune_requests_running ", "glmtune_requests_waiting "))]
    print(counts, left)
    assert all(line.endswith(" 0") for line in left) and left, "requests are stuck"
    if options.pid:
        print(f"{resident(options.pid)} MB resident at the end")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("what", choices=["load", "soak"])
parser.add_argument("--url", required=True)
parser.add_argument("--key")
parser.add_argument("--models", default="gpt-3.5-turbo")
parser.add_argument("--rows", required=True, help="rows with content")
parser.add_argument("--clients", default="1,8,32,128")
parser.add_argument("--tokens", type=int, default=32)
parser.add_argument("--temperature", type=float, default=0)
parser.add_argument("--rounds", type=int, default=2, help="requests of each client")
parser.add_argument("--least", type=int, default=8, help="requests at least")
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--soak_clients", type=int, default=24)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--pid", type=int)
options = parser.parse_args()
rows = [json.loads(line)["content"] for line in open(options.rows, encoding="utf-8") if line.strip()]
if not rows:
    sys.exit("the file has no rows")
asyncio.run((load if options.what == "load" else soak)(options, rows))
