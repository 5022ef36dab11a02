//! Prints samples and statistics of the demo's text: `cargo run --release -p glm-demo --example corpus [-- FOLDER]`.
//!
//! With a folder it also writes `tokenizer.model` and `texts.jsonl` (each text with its ids), to compare the ids with those of
//! another SentencePiece implementation.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write;

use glm_demo::corpus::{AttributeList, Split, adgen_rows, base_rows, dull};
use glm_demo::vocabulary;
use kitoken::Kitoken;

const PIECES: usize = 1_400;

fn main() -> Result<(), Box<dyn Error>> {
    let (base, train, dev) =
        (base_rows(20_000, 1), adgen_rows(Split::Train, 5_000, 1), adgen_rows(Split::Dev, 1_000, 1));
    for row in &train[..30] {
        println!("{}\n    {}", row.content, row.summary);
    }
    println!();
    for row in &base[..20] {
        println!("{:?} {}\n    {}", row.history, row.prompt, row.response);
    }

    let texts = vocabulary::texts_of(&base);
    let model = vocabulary::train(&texts, PIECES)?;
    let tokenizer = Kitoken::from_sentencepiece_slice(&model)?;
    let everything: HashSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
    println!("\ndistinct characters: {}, pieces: {PIECES}", everything.len());
    let literal: Vec<String> =
        dev.iter().filter_map(|row| AttributeList::parse(&row.content).as_ref().map(dull)).collect();
    let contents: Vec<String> = dev.iter().map(|row| row.content.clone()).collect();
    let adverts: Vec<String> = dev.iter().map(|row| row.summary.clone()).collect();
    for (name, group) in [("lists", &contents), ("literal answers", &literal), ("advertisements", &adverts)] {
        let characters: Vec<usize> = group.iter().map(|text| text.chars().count()).collect();
        let tokens =
            group.iter().map(|t| tokenizer.encode(t, false).map(|ids| ids.len())).collect::<Result<Vec<_>, _>>()?;
        println!("{name}: characters {}; tokens {}", summary(&characters), summary(&tokens));
    }
    let seen: HashSet<String> = train.iter().map(|row| row.content.clone()).collect();
    println!(
        "distinct lists among {} training rows: {}; held-out rows whose list is among them: {}",
        train.len(),
        seen.len(),
        dev.iter().filter(|row| seen.contains(&row.content)).count()
    );

    if let Some(folder) = std::env::args_os().nth(1) {
        let folder = std::path::PathBuf::from(folder);
        std::fs::write(folder.join("tokenizer.model"), &model)?;
        let mut out = std::io::BufWriter::new(std::fs::File::create(folder.join("texts.jsonl"))?);
        for text in texts.iter().rev().take(3_000).chain(&adverts).chain(&contents) {
            writeln!(out, "{}", serde_json::json!({"text": text, "ids": tokenizer.encode(text, false)?}))?;
        }
    }
    Ok(())
}

/// Mean, least and most of some lengths.
fn summary(lengths: &[usize]) -> String {
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    format!("{mean:.1} ({}–{})", lengths.iter().min().unwrap_or(&0), lengths.iter().max().unwrap_or(&0))
}
