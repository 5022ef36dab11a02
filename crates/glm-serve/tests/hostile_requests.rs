//! Who may ask, and what is done with those who mean harm.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::json;
use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};
use support::{chunk, head, message, start};

const CHAT: &str = "/v1/chat/completions";

fn question(tokens: usize, stream: bool) -> String {
    json!({
        "messages": [{ "role": "user", "content": "你好" }], "temperature": 0, "max_tokens": tokens, "stream": stream
    })
    .to_string()
}

fn head_of(stream: std::net::TcpStream) -> u16 {
    head(&mut BufReader::new(stream)).0
}

#[test]
fn keys_open_and_nothing_else_does() {
    let server = start(|config, _, _| {
        config.keys = vec!["sk-user".into()];
        config.admin_keys = vec!["sk-admin".into()];
        config.hosts.clear();
    });
    let with = |method: &str, path: &str, key: &str, body: &str| {
        let bearer = format!("Bearer {key}");
        server.request(method, path, &[("Authorization", &bearer)], body)
    };
    for path in [CHAT, "/v1/completions", "/"] {
        let refused = server.request("POST", path, &[], &question(1, false));
        assert_eq!((refused.status, refused.headers["www-authenticate"].as_str()), (401, "Bearer"), "{path}");
        assert_eq!(refused.json()["error"]["type"], "authentication_error");
    }
    for path in ["/v1/models", "/api/info", "/metrics"] {
        assert_eq!((server.get(path).status, with("GET", path, "sk-admin", "").status), (401, 401), "{path}");
        assert_eq!(with("GET", path, "sk-user", "").status, 200, "{path}");
    }
    for path in ["/", "/health", "/ready", "/api/hello"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    // Without a key the body is not waited for.
    let mut stream = server.connect();
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 90000\r\n\r\n{{");
    stream.write_all(head.as_bytes()).unwrap();
    let began = Instant::now();
    assert_eq!(head_of(stream), 401);
    assert!(began.elapsed() < Duration::from_secs(1), "the body was waited for");
    assert_eq!(server.get("/api/hello").json()["needs_key"], true);
    assert_eq!(with("POST", CHAT, "sk-user", &question(1, false)).status, 200);
    // The routes that load adapters have keys of their own.
    assert_eq!(with("GET", "/admin/adapters", "sk-user", "").status, 401);
    let listed = with("GET", "/admin/adapters", "sk-admin", "").json();
    assert_eq!(
        (&listed["available"], &listed["loaded"][0]["id"]),
        (&json!(["other", "prefix"]), &json!("tiny:prefix"))
    );
    assert_eq!(with("POST", "/admin/adapters", "sk-admin", "{\"name\":\"other\"}").status, 201);
    assert_eq!(with("POST", "/admin/adapters", "sk-admin", "{\"name\":\"other\"}").status, 409);
    assert_eq!(with("POST", "/admin/adapters", "sk-admin", "{\"name\":\"other\",\"replace\":true}").status, 201);
    for name in ["../prefix", "/etc", "..", "other/", "prefix\u{0}", "<b>", "", "none"] {
        let body = json!({ "name": name }).to_string();
        assert!(matches!(with("POST", "/admin/adapters", "sk-admin", &body).status, 400 | 404), "{name:?}");
    }
    let asked = |key: &str| {
        let body = json!({ "model": "other", "messages": [{ "role": "user", "content": "好" }], "max_tokens": 1 });
        with("POST", CHAT, key, &body.to_string()).status
    };
    assert_eq!(asked("sk-user"), 200);
    assert_eq!(with("DELETE", "/admin/adapters/other", "sk-admin", "").status, 200);
    assert_eq!(with("DELETE", "/admin/adapters/other", "sk-admin", "").status, 404);
    assert_eq!(asked("sk-user"), 404);
}

#[test]
fn without_keys_there_are_no_admin_routes() {
    let server = start(|_, _, _| {});
    for (method, path) in
        [("GET", "/admin/adapters"), ("POST", "/admin/adapters"), ("DELETE", "/admin/adapters/prefix")]
    {
        assert_eq!(server.request(method, path, &[], "{}").status, 404);
    }
}

#[test]
fn other_pages_and_other_names_are_refused() {
    let server = start(|config, _, _| config.origins = vec!["https://friend.example".into()]);
    let from = |headers: &[(&str, &str)]| server.request("POST", CHAT, headers, &question(1, false));
    assert_eq!(from(&[("Origin", "https://evil.example")]).status, 403);
    assert_eq!(from(&[("Origin", "null")]).status, 403);
    assert_eq!(from(&[("Host", "evil.example")]).status, 403);
    assert_eq!(from(&[("Host", "localhost.evil.example")]).status, 403);
    assert_eq!(from(&[("Host", "192.168.1.5:8000")]).status, 200, "no name server leads an address elsewhere");
    assert_eq!(from(&[("Host", "localhost:80"), ("Origin", "http://localhost:80")]).status, 200);
    let friend = from(&[("Origin", "https://friend.example")]);
    assert_eq!(
        (friend.status, friend.headers["access-control-allow-origin"].as_str()),
        (200, "https://friend.example")
    );
    assert!(!from(&[]).headers.contains_key("access-control-allow-origin"));
    let asks = server.request("OPTIONS", CHAT, &[("Origin", "https://friend.example")], "");
    assert_eq!(
        (asks.status, asks.headers["access-control-allow-headers"].as_str()),
        (200, "authorization, content-type")
    );
    assert_eq!(server.request("OPTIONS", CHAT, &[("Origin", "https://evil.example")], "").status, 403);
}

#[test]
fn every_response_keeps_browsers_strict_and_no_path_reaches_a_file() {
    let server = start(|_, _, _| {});
    for path in ["/", "/none", "/v1/models", "/health"] {
        let reply = server.get(path);
        assert!(
            reply.headers["content-security-policy"].starts_with("default-src 'none'; script-src 'self'"),
            "{path}"
        );
        assert_eq!(
            (reply.headers["x-content-type-options"].as_str(), reply.headers["x-frame-options"].as_str()),
            ("nosniff", "DENY")
        );
    }
    for path in [
        "/../Cargo.toml",
        "/assets/../../lib.rs",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/assets/%00",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/%F0%28%8C",
        "/api/runs/..%2f..",
        "/\u{7f}",
    ] {
        let reply = server.get(path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.body.contains("root:"), "{path}");
    }
    assert_eq!(server.request("PUT", CHAT, &[], "").status, 405);
    assert_eq!(server.get(CHAT).status, 405);
}

#[test]
fn bodies_and_headers_have_limits_of_size_and_time() {
    let server = start(|config, _, _| {
        config.max_body = 10_000;
        config.read_timeout = Duration::from_millis(600);
    });
    let long = "x".repeat(20_000);
    let refused = server.request("POST", CHAT, &[], &long);
    assert_eq!(
        (refused.status, refused.json()["error"]["message"].as_str().unwrap().contains("10000 bytes")),
        (413, true)
    );
    // The same without its length being said.
    let mut chunked =
        format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..20 {
        chunked.push_str(&format!("3e8\r\n{}\r\n", "x".repeat(1000)));
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(server.send(chunked.as_bytes()).status, 413);
    // A body that says more than it has, and headers that never end.
    let slow = format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{{");
    let began = Instant::now();
    assert_eq!(server.send(slow.as_bytes()).status, 408);
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    let began = Instant::now();
    let _ = stream.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(10), "headers may take for ever");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    let mut stream = server.connect();
    let _ = stream.write_all(many.as_bytes());
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    assert!(!String::from_utf8_lossy(&reply).starts_with("HTTP/1.1 200"));
    for garbage in [
        "\0\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "{}\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(garbage.as_bytes()).unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(!String::from_utf8_lossy(&reply).starts_with("HTTP/1.1 200"), "{garbage:?}");
    }
    assert_eq!(server.request("POST", CHAT, &[], &question(2, false)).status, 200, "and it still answers");
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = start(|config, limits, _| {
        config.max_length = 200_000;
        (limits.max_batch, limits.max_queue) = (1, 1);
    });
    let mut open: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(message("POST", CHAT, &[], &question(100_000, true)).as_bytes()).unwrap();
            let mut reader = BufReader::new(stream);
            assert_eq!(head(&mut reader).0, 200);
            reader
        })
        .collect();
    let refused = server.request("POST", CHAT, &[], &question(1, false));
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.json()["error"]["code"], "queue_full");
    // A client that goes makes room.
    assert!(chunk(&mut open[0]).is_some());
    drop(open);
    let began = Instant::now();
    while server.request("POST", CHAT, &[], &question(1, false)).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "those who went still take room");
        std::thread::sleep(Duration::from_millis(10));
    }
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("glmtune_requests_total{model=\"tiny\",outcome=\"cancelled\"}"), "{metrics}");
    assert!(
        metrics.contains("status=\"429\"") && metrics.contains("glmtune_time_to_first_token_seconds_bucket"),
        "{metrics}"
    );
}

#[test]
fn what_runs_is_finished_when_the_server_stops() {
    let mut server = start(|_, _, _| {});
    let mut stream = server.connect();
    stream.write_all(message("POST", CHAT, &[], &question(150, true)).as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(head(&mut reader).0, 200);
    assert!(chunk(&mut reader).is_some());
    server.begin_to_stop();
    let mut rest = Vec::new();
    while let Some(chunk) = chunk(&mut reader) {
        rest.extend(chunk);
    }
    assert!(String::from_utf8(rest).unwrap().ends_with("data: [DONE]\n\n"));
    server.stop();
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn an_answer_that_takes_too_long_is_ended() {
    let server = start(|config, _, _| config.request_timeout = Duration::from_millis(30));
    let late = server.request("POST", CHAT, &[], &question(450, false));
    assert_eq!((late.status, late.json()["error"]["type"].as_str()), (504, Some("timeout")));
    let streamed = server.request("POST", CHAT, &[], &question(450, true));
    assert_eq!(streamed.events().last().unwrap()["error"]["code"], "deadline");
}

#[test]
fn one_connection_carries_many_requests() {
    let server = start(|_, _, _| {});
    let mut stream = server.connect();
    let body = question(2, false);
    let one = format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(one.repeat(2).as_bytes()).unwrap();
    stream.write_all(message("POST", CHAT, &[], &body).as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
}
