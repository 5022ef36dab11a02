//! The API over sockets: what it answers, and what it refuses.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::{Value, json};
use support::{Reply, Running, start};

fn server() -> Running {
    start(|_, _, _| {})
}

fn chat(server: &Running, fields: Value) -> Reply {
    let mut body = json!({ "messages": [{ "role": "user", "content": "你好" }], "temperature": 0, "max_tokens": 12 });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    server.post("/v1/chat/completions", &body)
}

#[test]
fn streamed_and_whole_answers_are_the_same() {
    let server = server();
    for fields in [
        json!({}),
        json!({ "model": "tiny:prefix" }),
        json!({ "n": 3, "temperature": 1.0, "seed": 5, "logprobs": true, "top_logprobs": 2 }),
    ] {
        let whole = chat(&server, fields.clone()).json();
        let mut streamed = fields;
        streamed["stream"] = json!(true);
        streamed["stream_options"] = json!({ "include_usage": true });
        let stream = chat(&server, streamed);
        assert_eq!(stream.headers["content-type"], "text/event-stream; charset=utf-8");
        assert!(stream.body.ends_with("data: [DONE]\n\n"), "{}", stream.body);
        let events = stream.events();
        let (last, events) = events.split_last().unwrap();
        assert_eq!((&last["usage"]["total_tokens"], &last["choices"]), (&whole["usage"]["total_tokens"], &json!([])));
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            let of = events.iter().filter(|e| e["choices"][0]["index"] == index).map(|e| &e["choices"][0]);
            let of: Vec<&Value> = of.collect();
            let text: String = of.iter().filter_map(|c| c["delta"]["content"].as_str()).collect();
            assert_eq!(choice["message"]["content"], text);
            assert_eq!(
                (&of[0]["delta"]["role"], &of.last().unwrap()["finish_reason"]),
                (&json!("assistant"), &choice["finish_reason"])
            );
            let words: Vec<&Value> = of.iter().filter_map(|c| c["logprobs"]["content"].as_array()).flatten().collect();
            let whole_words: Vec<&Value> = choice["logprobs"]["content"].as_array().into_iter().flatten().collect();
            assert_eq!(words, whole_words);
            for word in words {
                let best = word["top_logprobs"].as_array().unwrap();
                assert!(best.len() == 2 && best[0]["logprob"].as_f64() >= best[1]["logprob"].as_f64(), "{word}");
                assert!(word["logprob"].as_f64().unwrap() <= best[0]["logprob"].as_f64().unwrap());
            }
        }
    }
    // Three draws of one seed are three answers.
    let drawn = chat(&server, json!({ "n": 3, "temperature": 1.0, "seed": 5 })).json();
    let texts: Vec<&Value> = drawn["choices"].as_array().unwrap().iter().map(|c| &c["message"]["content"]).collect();
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
    assert_eq!(drawn["usage"]["completion_tokens"], 36);
}

#[test]
fn names_of_models_and_limits_are_openais_and_chatglms() {
    let server = server();
    let models = server.get("/v1/models").json();
    let ids: Vec<&str> = models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tiny", "tiny:prefix"]);
    assert_eq!(server.get("/v1/models/tiny:prefix").json()["parent"], "tiny");
    assert_eq!(server.get("/v1/models/none").status, 404);
    let base = chat(&server, json!({ "model": "tiny" })).text();
    assert_eq!(chat(&server, json!({ "model": "gpt-3.5-turbo" })).text(), base);
    assert_eq!(chat(&server, json!({})).text(), base);
    let prefix = chat(&server, json!({ "model": "tiny:prefix" })).text();
    assert_eq!(chat(&server, json!({ "model": "prefix" })).text(), prefix);
    assert_ne!(prefix, base);
    let (status, message) = chat(&server, json!({ "model": "tiny:<script>" })).error();
    assert!(status == 404 && message.contains("GET /v1/models"), "{message}");
    // `max_length` counts the prompt.
    let prompt = chat(&server, json!({})).json()["usage"]["prompt_tokens"].as_u64().unwrap();
    let short = chat(&server, json!({ "max_tokens": null, "max_length": prompt + 4 })).json();
    assert_eq!(
        (&short["usage"]["completion_tokens"], &short["choices"][0]["finish_reason"]),
        (&json!(4), &json!("length"))
    );
    assert_eq!(
        chat(&server, json!({ "max_tokens": null, "max_completion_tokens": 3 })).json()["usage"]["completion_tokens"],
        3
    );
}

#[test]
fn stops_penalties_and_seeds_are_obeyed() {
    let server = server();
    let text = chat(&server, json!({ "max_tokens": 24 })).text();
    let middle: String = text.chars().skip(4).take(2).collect();
    let stopped = chat(&server, json!({ "max_tokens": 24, "stop": [middle] }));
    let before = &text[..text.find(&middle).unwrap()];
    assert_eq!(stopped.text(), before.trim());
    assert_eq!(stopped.json()["choices"][0]["finish_reason"], "stop");
    let heated = |seed: u64| chat(&server, json!({ "temperature": 1.5, "seed": seed, "top_k": 0, "top_p": 1 })).text();
    assert_eq!(heated(1), heated(1));
    assert_ne!(heated(1), heated(2));
    for penalty in
        [json!({ "frequency_penalty": 2.0 }), json!({ "presence_penalty": 2.0 }), json!({ "repetition_penalty": 1.9 })]
    {
        let mut fields = penalty;
        fields["max_tokens"] = json!(48);
        assert_ne!(chat(&server, fields.clone()).text(), chat(&server, json!({ "max_tokens": 48 })).text(), "{fields}");
    }
}

#[test]
fn conversations_are_read_as_the_models_know_them() {
    let server = server();
    let ask = |model: &str, messages: Value| {
        let reply = chat(&server, json!({ "model": model, "messages": messages, "max_tokens": 1 }));
        (reply.status, reply.json()["usage"]["prompt_tokens"].as_u64().unwrap_or(0))
    };
    let question = json!({ "role": "user", "content": "白色的裙子" });
    let one = ask("tiny", json!([question])).1;
    let history = json!([{ "role": "user", "content": "你好" }, { "role": "assistant", "content": "好" }, question]);
    assert!(ask("tiny", history.clone()).1 > one + 10);
    // An adapter that was trained on single questions gets the last one.
    assert_eq!(ask("tiny:prefix", history).1, one);
    // Parts, a system text, and two questions in a row.
    let parts = json!([{ "role": "user", "content": [{ "type": "text", "text": "白色的" }, { "type": "text", "text": "裙子" }] }]);
    assert_eq!(ask("tiny", parts).1, one);
    assert!(ask("tiny", json!([{ "role": "system", "content": "简短" }, question])).1 > one);
    let (status, twice) = ask("tiny", json!([question, question]));
    assert!(status == 200 && twice > one);
    // A greeting answers nothing.
    assert_eq!(ask("tiny", json!([{ "role": "assistant", "content": "您好" }, question])).1, one);
    for (messages, expected) in [
        (json!([]), "at least one message"),
        (json!([{ "role": "assistant", "content": "好" }]), "message 1: expected a message of the system or the user"),
        (json!([question, { "role": "assistant", "content": "好" }]), "expected the last message to be the user's"),
        (json!([{ "role": "robot", "content": "好" }]), "message 1: \"role\""),
        (json!([{ "role": "user" }]), "message 1: expected \"content\""),
        (json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }]), "these models read texts"),
        (json!(["好"]), "message 1: expected an object"),
    ] {
        let (status, message) = chat(&server, json!({ "messages": messages })).error();
        assert!(status == 400 && message.contains(expected), "{message}");
    }
    // The names of special tokens are text.
    let plain = ask("tiny", json!([{ "role": "user", "content": "</s>[gMASK]sop<|user|>" }])).1;
    assert!(plain > ask("tiny", json!([{ "role": "user", "content": "" }])).1 + 8);
    let (status, message) = chat(&server, json!({ "tools": [{ "type": "function" }] })).error();
    assert!(status == 400 && message.contains("no form for tools"), "{message}");
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let server = server();
    for (fields, param) in [
        (json!({ "temperature": -1 }), "temperature"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "top_p": 1.5 }), "top_p"),
        (json!({ "n": 0 }), "n"),
        (json!({ "n": 1000 }), "n"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "max_tokens": 100_000 }), "messages"),
        (json!({ "stop": ["", "a"] }), "stop"),
        (json!({ "stop": 5 }), "stop"),
        (json!({ "stop": "长".repeat(400) }), "stop"),
        (json!({ "n": 128 }), "n"),
        (json!({ "top_logprobs": 3 }), "top_logprobs"),
        (json!({ "logprobs": true, "top_logprobs": 21 }), "top_logprobs"),
        (json!({ "logit_bias": { "5": 100 } }), "logit_bias"),
        (json!({ "response_format": { "type": "json_object" } }), "response_format"),
        (json!({ "presence_penalty": 3 }), "presence_penalty"),
        (json!({ "repetition_penalty": 0 }), "repetition_penalty"),
        (json!({ "messages": null }), "messages"),
        (json!({ "messages": [{ "role": "user", "content": "长".repeat(2000) }] }), "messages"),
    ] {
        let reply = chat(&server, fields.clone());
        let json = reply.json();
        assert_eq!((reply.status, &json["error"]["param"]), (400, &json!(param)), "{fields}: {json}");
        assert_eq!(json["error"]["type"], "invalid_request_error");
        assert!(!json["error"]["message"].as_str().unwrap().is_empty());
    }
    for body in [
        "",
        "{",
        "[]",
        "[\"tiny\", [{\"role\": \"user\", \"content\": \"好\"}]]",
        "null",
        "{} {}",
        "{\"messages\": [",
        "\u{0}",
    ] {
        let reply = server.request("POST", "/v1/chat/completions", &[], body);
        assert_eq!(reply.status, 400, "{body:?}: {}", reply.body);
    }
    let deep = format!("{{\"messages\": {}{}}}", "[".repeat(40_000), "]".repeat(40_000));
    assert_eq!(server.request("POST", "/v1/chat/completions", &[], &deep).status, 400);
    assert_eq!(chat(&server, json!({})).status, 200, "and it still answers");
}

#[test]
fn completions_go_on_from_texts_and_ids() {
    let server = server();
    let complete = |fields: Value| {
        let mut body = json!({ "prompt": "白色", "temperature": 0, "max_tokens": 6 });
        fields.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        server.post("/v1/completions", &body)
    };
    let plain = complete(json!({})).json();
    let text = plain["choices"][0]["text"].as_str().unwrap().to_owned();
    assert!(!text.is_empty() && plain["object"] == "text_completion");
    assert_eq!(complete(json!({ "echo": true })).json()["choices"][0]["text"], format!("白色{text}"));
    let two = complete(json!({ "prompt": ["白色", "黑色"], "n": 2, "logprobs": 1 })).json();
    let choices = two["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &choices[0]["text"], &choices[3]["index"]), (4, &json!(text), &json!(3)));
    assert_eq!(choices[0]["logprobs"]["tokens"].as_array().unwrap().len(), 6);
    let streamed = complete(json!({ "stream": true, "echo": true })).events();
    let joined: String = streamed.iter().map(|event| event["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(joined, format!("白色{text}"));
    assert_eq!(complete(json!({ "prompt": [5, 6, 7] })).json()["usage"]["prompt_tokens"], 3);
    for prompt in [json!([]), json!([[]]), json!([999_999_999]), json!(5), json!(null)] {
        assert_eq!(complete(json!({ "prompt": prompt })).status, 400, "{prompt}");
    }
}

#[test]
fn the_old_api_answers_at_the_root() {
    let server = server();
    let reply = server
        .post("/", &json!({ "prompt": "你好", "history": [], "max_length": 40, "top_p": 0.7, "temperature": 0.01 }))
        .json();
    let response = reply["response"].as_str().unwrap();
    assert_eq!(reply["history"], json!([["你好", response]]));
    assert_eq!((&reply["status"], reply["time"].as_str().unwrap().len()), (&json!(200), 19));
    let next = server.post("/", &json!({ "prompt": "再说", "history": reply["history"], "max_length": 0 })).json();
    assert_eq!(next["history"].as_array().unwrap().len(), 2);
    assert_eq!(server.post("/", &json!({ "history": [] })).status, 400);
    assert_eq!(server.post("/", &json!({ "prompt": "你好", "history": [["只有问题"]] })).status, 400);
}
