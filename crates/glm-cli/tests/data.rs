//! `glmtune data`: looking at files and converting them, with and without a base.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use support::World;

const ROWS: &str = "{\"content\": \"甲乙\", \"summary\": \"丙\"}\n{\"content\": \"甲乙\", \"summary\": \"丁[gMASK]\"}\n\
    {\"content\": \"\", \"summary\": \"戊\"}\n{\"content\": \"己\", \"summary\": 3}\n";

#[test]
fn a_check_without_a_base_says_what_can_be_said() {
    let world = World::new();
    std::fs::write(world.path("rows.json"), ROWS).unwrap();
    let said = world.ok("data check rows.json");
    for part in [
        "2 of 4 rows have a question and an answer; 1 are empty, 1 broken",
        "prompt characters: p50 2, p95 2",
        "answer characters: p50 1, p95 8",
        "line 4: column \"summary\": expected a text",
        "line 2 (assistant): [gMASK]",
        "contradictions (same prompt, other answer): 1",
        "give --model_name_or_path for them",
    ] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let json = world.run("data check rows.json --json");
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report["rows_used"], &report["contradictions"]["count"]), (&2.into(), &1.into()));
    let said = world.ok("data check train.json --max_train_samples 3 --show 1");
    assert!(said.contains("3 of 3 rows") && said.contains("note: --show has no effect without"), "{said}");
    let said = world.ok("data check train.json --max_train_samples 3 --model_name_or_path base");
    assert!(said.contains("3 of 3 rows used") && said.contains("prompt tokens"), "{said}");
}

#[test]
fn the_file_is_looked_for_before_the_base() {
    let world = World::new();
    for flags in ["", "--model_name_or_path nowhere", "--model_name_or_path someone/something"] {
        world.refused(&format!("data check none.json {flags}"), &["error: none.json: there is no such file"]);
    }
    world.refused("data check train.json --model_name_or_path ./nowhere", &["--model_name_or_path ./nowhere"]);
    world.refused("data convert none.json out.jsonl", &["error: none.json: there is no such file"]);
    world.refused("data convert train.json dev.json", &["dev.json: it exists already"]);
}

#[test]
fn a_conversion_obeys_or_says_that_it_does_not() {
    let world = World::new();
    let said = world.ok("data convert train.json few.jsonl --max_train_samples 3 --max_source_length 8");
    assert!(said.contains("3 of 3 rows written"), "{said}");
    assert_eq!(std::fs::read_to_string(world.path("few.jsonl")).unwrap().lines().count(), 3);
    assert!(said.contains("note: --max_source_length has no effect on a conversion"), "{said}");
    assert!(!said.contains("--max_train_samples has"), "{said}");
    let refused = world.glmtune("data convert train.json no.jsonl").args(["--source_prefix", "问："]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = support::text(&refused);
    assert!(said.contains("--source_prefix does not go with a conversion: training adds it"), "{said}");
    assert!(!world.path("no.jsonl").exists());
}
