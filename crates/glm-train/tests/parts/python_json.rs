use glm_train::journal::python_json::{float, line, ordered_line, pretty, round, string};
use serde_json::json;

use crate::golden;

#[test]
fn floats_print_and_round_as_in_python() {
    let golden = golden("python_json.json");
    let rows = golden["floats"].as_array().unwrap();
    assert!(rows.len() >= 200);
    for row in rows {
        let x = f64::from_bits(u64::from_str_radix(row["bits"].as_str().unwrap(), 16).unwrap());
        assert_eq!(float(x), row["repr"], "{x:e}");
        assert_eq!(float(round(x, 2)), row["round2"], "{x:e}");
        assert_eq!(float(round(x, 4)), row["round4"], "{x:e}");
    }
}

#[test]
fn texts_are_escaped_as_in_python() {
    for pair in golden("python_json.json")["texts"].as_array().unwrap() {
        assert_eq!(string(pair[0].as_str().unwrap()), pair[1]);
    }
}

#[test]
fn nested_values_print_as_in_python() {
    let golden = golden("python_json.json");
    assert_eq!(pretty(&golden["sample"], 2), golden["indent2"]);
    assert_eq!(pretty(&golden["sample"], 4), golden["indent4"]);
    assert_eq!(line(&golden["sample"]), golden["line"]);
}

#[test]
fn an_ordered_line_keeps_its_order() {
    assert_eq!(ordered_line([("b", json!(1)), ("a", json!(null))]), r#"{"b": 1, "a": null}"#);
}
