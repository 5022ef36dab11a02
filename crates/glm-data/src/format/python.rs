//! Values as Python writes them: the official scripts put such texts into prompts.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::reader::Json;

/// As `json.dumps(value, ensure_ascii=False)`: on one line, with blanks after `,` and `:`.
pub(super) fn dumps(value: &impl Serialize) -> String {
    write(value, OneLine)
}

/// As `json.dumps(value, indent=4, ensure_ascii=False)`.
pub(super) fn dumps_indented(value: &impl Serialize) -> String {
    write(value, Indented(PrettyFormatter::with_indent(b"    ")))
}

/// As `repr(value)` of the value that `json.loads` gives.
pub(super) fn repr(value: &Json) -> String {
    match value {
        Json::Null => "None".into(),
        Json::Bool(true) => "True".into(),
        Json::Bool(false) => "False".into(),
        Json::Number(_) => dumps(value),
        Json::Text(text) => repr_text(text),
        Json::List(entries) => format!("[{}]", entries.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let entry = |(name, value): &(String, Json)| format!("{}: {}", repr_text(name), repr(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Python prefers single quotes, and takes double ones for a text that holds single but no double ones.
fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if !is_printable(c) => match u32::from(c) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code => out.push_str(&format!("\\u{code:04x}")),
            },
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// What Python prints as it is: no controls, no separators but the ordinary blank, no common format characters.
fn is_printable(c: char) -> bool {
    let formats = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || formats)
}

/// Shortest digits that give the number back, in Python's layout: an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).expect("a value with texts as names can be written to memory");
    String::from_utf8(bytes).expect("JSON is written as UTF-8")
}

struct OneLine;

impl Formatter for OneLine {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

struct Indented<'a>(PrettyFormatter<'a>);

impl Formatter for Indented<'_> {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    /// Expectations were written by Python 3.11.
    #[test]
    fn values_look_as_in_python() {
        let value = json(r#"{"b": [1, 2.0, 1e16, 1e-5, 0.0001, -1.5e300], "a": {"x": null, "y": []}, "c": "甲\"\n"}"#);
        assert_eq!(
            dumps(&value),
            r#"{"b": [1, 2.0, 1e+16, 1e-05, 0.0001, -1.5e+300], "a": {"x": null, "y": []}, "c": "甲\"\n"}"#
        );
        assert_eq!(
            repr(&value),
            r#"{'b': [1, 2.0, 1e+16, 1e-05, 0.0001, -1.5e+300], 'a': {'x': None, 'y': []}, 'c': '甲"\n'}"#
        );
        assert_eq!(
            dumps_indented(&json(r#"[{"b": 1, "a": []}, true]"#)),
            "[\n    {\n        \"b\": 1,\n        \"a\": []\n    },\n    true\n]"
        );
        for (text, expected) in [
            (r#""it's""#, r#""it's""#),
            (r#""it's \"so\"""#, r#"'it\'s "so"'"#),
            (r#""a\\b\u0007\u00a0\u3000""#, r"'a\\b\x07\xa0\u3000'"),
            ("false", "False"),
        ] {
            assert_eq!(repr(&json(text)), expected);
        }
    }
}
