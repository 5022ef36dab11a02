//! Json as Python's `json.dumps(value, sort_keys=True)` prints it, so that files compare equal with those of the scripts.

use serde_json::{Number, Value};

/// Rounds to `digits` decimals as Python's `round`: exactly on the binary value, ties to even.
pub fn round(x: f64, digits: usize) -> f64 {
    // Formatting is exact in Rust, too; infinities and NaN pass through.
    format!("{x:.digits$}").parse().unwrap_or(x)
}

/// A float as Python's `repr`: shortest digits, always with `.` or exponent, exponent below 1e-4 and from 1e16 on.
pub fn float(x: f64) -> String {
    if !x.is_finite() {
        return if x.is_nan() { "NaN".into() } else { format!("{}Infinity", if x < 0.0 { "-" } else { "" }) };
    }
    let scientific = shortest(x);
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let decimals = digits.trim_start_matches('-').len().saturating_sub(2) as i32 - exponent;
        return format!("{x:.*}", decimals.max(1) as usize);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The fewest digits that read back as `x`, in scientific notation. When two such numbers are equally near, Python takes
/// the even one, Rust's shortest form not always.
fn shortest(x: f64) -> String {
    let shortest = format!("{x:e}");
    let digits = shortest.split('e').next().map_or(1, |d| d.bytes().filter(u8::is_ascii_digit).count());
    let even = format!("{x:.*e}", digits - 1);
    if even.parse() == Ok(x) { even } else { shortest }
}

/// Several lines with `indent` blanks a level, no newline at the end: `json.dumps(value, indent=indent, sort_keys=True)`.
pub fn pretty(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(indent), 0);
    out
}

/// One line with sorted keys, no newline at the end: `json.dumps(value, sort_keys=True)`.
pub fn line(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None, 0);
    out
}

/// One line with the keys in the given order: `json.dumps(dict)`.
pub fn ordered_line<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let parts: Vec<String> = entries.into_iter().map(|(k, v)| format!("{}: {}", string(k), line(&v))).collect();
    format!("{{{}}}", parts.join(", "))
}

/// A string in quotes with everything outside printable ASCII escaped.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            '\u{8}' => out.push_str("\\b"),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

fn number(n: &Number) -> String {
    match n.as_f64() {
        Some(x) if n.is_f64() => float(x),
        _ => n.to_string(),
    }
}

fn write(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&number(n)),
        Value::String(s) => out.push_str(&string(s)),
        Value::Array(items) => write_items(out, ['[', ']'], items, indent, depth, |out, item| {
            write(out, item, indent, depth + 1);
        }),
        Value::Object(map) => {
            // The map's own order depends on a feature of serde_json that any dependency may switch on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(k, _)| *k);
            write_items(out, ['{', '}'], &entries, indent, depth, |out, (key, item)| {
                out.push_str(&string(key));
                out.push_str(": ");
                write(out, item, indent, depth + 1);
            });
        }
    }
}

fn write_items<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: &[T],
    indent: Option<usize>,
    depth: usize,
    write_one: impl Fn(&mut String, &T),
) {
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        match indent {
            Some(width) => {
                out.push_str(if i > 0 { ",\n" } else { "\n" });
                out.push_str(&" ".repeat(width * (depth + 1)));
            }
            None if i > 0 => out.push_str(", "),
            None => {}
        }
        write_one(out, item);
    }
    if let (Some(width), false) = (indent, items.is_empty()) {
        out.push('\n');
        out.push_str(&" ".repeat(width * depth));
    }
    out.push(close);
}
