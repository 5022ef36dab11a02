#!/usr/bin/env python3
"""The official openai client of Python against a running server: openai_client.py target/release/glmtune BASE ADAPTER

Needs `pip install openai`. Starts the server on a free port, asks it in every way that the client knows, and stops it.
"""

import concurrent.futures
import subprocess
import sys

import openai

binary, base, adapter = sys.argv[1:4]
process = subprocess.Popen(
    [binary, "serve", "--model_name_or_path", base, "--served_model_name", "demo", "--adapter", "adgen=" + adapter, "--port", "0"],
    stdout=subprocess.PIPE, text=True, env={"GLMTUNE_API_KEY": "sk-test", "RUST_LOG": "warn"},
)
address = process.stdout.readline().strip()
client = openai.OpenAI(base_url=address + "/v1", api_key="sk-test", max_retries=0)
question = [{"role": "user", "content": "类型#裤*风格#简约*版型#阔腿*裤长#短裤"}]


def refused(kind, call):
    """The error that a call ends with, which must be of this kind."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"expected {kind.__name__}")


try:
    assert [model.id for model in client.models.list()] == ["demo", "demo:adgen"]
    assert client.models.retrieve("demo:adgen").id == "demo:adgen"

    whole = client.chat.completions.create(model="demo:adgen", messages=question, temperature=0, max_tokens=64)
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason == "stop", whole
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.model == "demo:adgen" and whole.object == "chat.completion"

    stream = client.chat.completions.create(
        model="demo:adgen", messages=question, temperature=0, max_tokens=64, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens and chunks[0].choices[0].delta.role == "assistant"

    several = client.chat.completions.create(
        model="demo", messages=question, temperature=1.2, seed=3, n=3, max_tokens=8, logprobs=True, top_logprobs=2,
        frequency_penalty=0.5, presence_penalty=0.5, stop=["。"], user="someone", extra_body={"top_k": 20, "repetition_penalty": 1.1},
    )
    assert len(several.choices) == 3
    for choice in several.choices:
        for word in choice.logprobs.content:
            assert len(word.top_logprobs) == 2 and word.logprob <= 0 and bytes(word.bytes)

    complete = client.completions.create(model="demo", prompt=["白色", "黑色"], temperature=0, max_tokens=5, logprobs=1, echo=True)
    assert [choice.text[:2] for choice in complete.choices] == ["白色", "黑色"]
    assert "".join(c.choices[0].text for c in client.completions.create(model="demo", prompt="白色", temperature=0, max_tokens=5, stream=True))

    multi = question + [{"role": "assistant", "content": text}, {"role": "user", "content": "再写一个"}]
    system = [{"role": "system", "content": "简短"}]
    assert client.chat.completions.create(model="demo", messages=system + multi, max_tokens=4).choices[0].finish_reason == "length"

    # A stream that is left in the middle, and many at a time.
    with client.chat.completions.create(model="demo", messages=question, max_tokens=2000, temperature=1.5, stream=True) as left:
        next(iter(left))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ask = lambda i: client.chat.completions.create(
            model=["demo", "demo:adgen"][i % 2], messages=question, temperature=0, max_tokens=32
        ).choices[0].message.content
        answers = list(pool.map(ask, range(32)))
    assert len(set(answers[0::2])) == 1 and set(answers[1::2]) == {ask(1)}, "answers depend on what is answered beside them"

    error = refused(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-9", messages=question))
    assert error.code == "model_not_found" and error.param == "model", error
    error = refused(openai.BadRequestError, lambda: client.chat.completions.create(model="demo", messages=question, temperature=-1))
    assert error.param == "temperature", error
    error = refused(openai.BadRequestError, lambda: client.chat.completions.create(model="demo", messages=question, max_tokens=10**9))
    assert error.code == "context_length_exceeded", error
    refused(openai.AuthenticationError, lambda: openai.OpenAI(base_url=address + "/v1", api_key="sk-other").models.list())
finally:
    process.terminate()
    code = process.wait(timeout=60)
assert code == 0, code
print(f"openai {openai.__version__}: all calls answered as expected")
