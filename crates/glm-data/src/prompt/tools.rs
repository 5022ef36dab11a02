//! Tool definitions in ChatGLM3's system message.

use serde::de::IgnoredAny;

/// The system text followed by the tools, as the official class writes them: the JSON text `tools` on lines of its own,
/// indented by four blanks, keys in their order, without escaping what is not ASCII. Numbers stay as they are written.
///
/// # Errors
/// If `tools` is not JSON.
pub fn with_tools(content: &str, tools: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(tools)?;
    let mut out = format!("{content}\n");
    let mut depth = 0;
    let mut rest = tools.trim_ascii_start();
    // `rest` always starts with a token, and the whole is known to be well formed.
    while let Some(&first) = rest.as_bytes().first() {
        let length = match first {
            b'"' => string_len(rest),
            b'{' | b'[' | b'}' | b']' | b',' | b':' => 1,
            _ => rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_ascii_start();
        match first {
            b'{' | b'[' => {
                depth += 1;
                out.push_str(token);
                if !rest.starts_with(['}', ']']) {
                    break_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if !out.ends_with(['{', '[']) {
                    break_line(&mut out, depth);
                }
                out.push_str(token);
            }
            b',' => {
                out.push_str(token);
                break_line(&mut out, depth);
            }
            b':' => out.push_str(": "),
            // A string may be written with other escapes than Python's.
            b'"' => out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(token)?)?),
            _ => out.push_str(token),
        }
    }
    Ok(out)
}

/// Bytes of the string literal with which `text` begins, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_and_escapes() {
        let tools = r#" [{"b":1.50,"a" : [] , "名": "\u4f60\"\/" , "o":{ }}, null,[true]] "#;
        let expected = "x\n[\n    {\n        \"b\": 1.50,\n        \"a\": [],\n        \"名\": \"你\\\"/\",\n        \"o\": {}\n    \
                        },\n    null,\n    [\n        true\n    ]\n]";
        assert_eq!(with_tools("x", tools).unwrap(), expected);
        for bad in ["", "[", "[1,]", "{\"a\"}", "[] []", "\"a"] {
            assert!(with_tools("x", bad).is_err(), "{bad}");
        }
    }
}
