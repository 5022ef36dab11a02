//! The rules of the house that the compiler does not hold: see "Invariants" in ARCHITECTURE.md.
//!
//! Every rule is a function from texts to complaints, tested below on samples that break it, and run on the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// This file holds the forbidden words as words.
const SELF: &str = "crates/glm-testkit/tests/tidy.rs";
/// The only places that may hold unsafe code.
const UNSAFE_PLACES: [&str; 3] =
    ["crates/glm-kernels/src/cpu/", "crates/glm-model/src/ops/launch.rs", "crates/glm-model/src/weights/mmap.rs"];
/// A SAFETY note stands at most so many lines above the code that it is about.
const SAFETY_NOTE_DISTANCE: usize = 6;
const MEDIAN_LINES: usize = 200;
const MOST_LINES: usize = 700;
/// Files of data written as Rust, which may be longer.
const TABLES: [&str; 0] = [];
/// Kinds of adapters.
const ADAPTER_KINDS: [&str; 3] = ["prefix", "ptuning", "lora"];
/// Words of adapters in general; the network may use them, for it knows adapters as a trait.
const ADAPTER_WORDS: [&str; 2] = ["adapter", "adapters"];
const SCHEME_WORDS: [&str; 4] = ["int4", "int8", "group4", "grouped"];
/// What each crate may use: only what stands to its left.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("glm-kernels", &[]),
    ("glm-data", &[]),
    ("glm-model", &["glm-kernels", "glm-data"]),
    ("glm-train", &["glm-kernels", "glm-data", "glm-model"]),
    ("glm-infer", &["glm-kernels", "glm-data", "glm-model"]),
    ("glm-serve", &["glm-kernels", "glm-data", "glm-model", "glm-infer"]),
    ("glm-demo", &["glm-kernels", "glm-data", "glm-model", "glm-train", "glm-infer"]),
    ("glm-cli", &["glm-kernels", "glm-data", "glm-model", "glm-train", "glm-infer", "glm-serve", "glm-demo"]),
    ("glm-testkit", &[]),
];

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the workspace is two levels up")
}

/// The repository's files as git knows them (tracked, and new ones that are not ignored); without git, a walk.
fn files() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()).output();
    let mut files: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect()
        }
        _ => walk(&root(), &root()),
    };
    // A file that was deleted but not yet committed is still listed.
    files.retain(|file| root().join(file).is_file());
    assert!(files.iter().any(|file| file == SELF), "the list of files lacks this one");
    files
}

fn walk(folder: &Path, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && !["target", "runs", ".git"].contains(&name.as_str()) {
            found.extend(walk(&path, root));
        } else if path.is_file() {
            found.push(path.strip_prefix(root).expect("walked from the root").to_string_lossy().into_owned());
        }
    }
    found
}

/// Name and text of the files that end so; binary files are left out.
fn texts(ending: &str) -> Vec<(String, String)> {
    let read = |file: String| fs::read_to_string(root().join(&file)).ok().map(|text| (file, text));
    files().into_iter().filter(|file| file.ends_with(ending)).filter_map(read).collect()
}

fn sources() -> Vec<(String, String)> {
    texts(".rs").into_iter().filter(|(file, _)| file != SELF).collect()
}

fn is_test_file(file: &str) -> bool {
    file.contains("/tests/") || file.contains("/benches/") || file.ends_with("/tests.rs")
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Code without line comments and without a closing test module.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |i: usize| {
        let next = lines.get(i + 1);
        lines[i].starts_with("#[cfg(test)]") && next.is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    let end = (0..lines.len()).find(|i| opens_tests(*i)).unwrap_or(lines.len());
    lines[..end].iter().map(|line| without_comment(line)).collect::<Vec<_>>().join("\n")
}

/// Identifiers and keywords as they stand.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Parts of an identifier in lower case: `RowInt4` is row, int4; `pre_seq_len` is pre, seq, len.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = '_';
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && !before.is_uppercase() && before != '_') {
            parts.push(String::new());
        }
        if c != '_' {
            parts.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn unsafe_complaints(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if !identifiers(without_comment(line)).any(|word| word == "unsafe") {
            continue;
        }
        let mut near = lines[i.saturating_sub(SAFETY_NOTE_DISTANCE)..=i].iter();
        if !UNSAFE_PLACES.iter().any(|place| file.starts_with(place)) {
            complaints.push(format!("{file}:{}: unsafe outside its three places", i + 1));
        } else if !near.any(|line| line.contains("// SAFETY") || line.contains("# Safety")) {
            complaints.push(format!("{file}:{}: unsafe without a SAFETY note", i + 1));
        }
    }
    complaints
}

fn length_complaints(lengths: &[(String, usize)]) -> Vec<String> {
    let mut sorted: Vec<usize> = lengths.iter().map(|(_, lines)| *lines).collect();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    let long = lengths.iter().filter(|(file, lines)| *lines > MOST_LINES && !TABLES.contains(&file.as_str()));
    let mut complaints: Vec<_> =
        long.map(|(file, lines)| format!("{file}: {lines} lines, at most {MOST_LINES}")).collect();
    if median > MEDIAN_LINES {
        complaints.push(format!("the median file has {median} lines, at most {MEDIAN_LINES}"));
    }
    complaints
}

fn room_complaints(file: &str, text: &str) -> Vec<String> {
    let inside = file.strip_prefix("crates/glm-model/src/").unwrap_or_default();
    let room = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let forbidden: Vec<&str> = match room {
        "glm" => [&ADAPTER_KINDS[..], &SCHEME_WORDS].concat(),
        "adapter" => SCHEME_WORDS.to_vec(),
        "quant" => [&ADAPTER_KINDS[..], &ADAPTER_WORDS].concat(),
        _ => return Vec::new(),
    };
    if is_test_file(file) {
        return Vec::new();
    }
    let code = code(text);
    let words = identifiers(&code).filter(|word| *word != "strip_prefix").flat_map(parts);
    let named: BTreeSet<String> = words.filter(|word| forbidden.contains(&word.as_str())).collect();
    named.into_iter().map(|word| format!("{file}: the room {room}/ names \"{word}\"")).collect()
}

fn printing_complaints(file: &str, text: &str) -> Vec<String> {
    let may_print = ["crates/glm-cli/", "crates/glm-testkit/"].iter().any(|place| file.starts_with(place));
    if may_print || is_test_file(file) || file.contains("/examples/") || file.ends_with("build.rs") {
        return Vec::new();
    }
    let code = code(text);
    let macros = ["println", "eprintln", "print", "eprint", "dbg"];
    let called = |name: &str| {
        code.match_indices(&format!("{name}!"))
            .any(|(i, _)| !code[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    macros.iter().filter(|name| called(name)).map(|name| format!("{file}: {name}! outside glm-cli")).collect()
}

fn leftover_complaints(file: &str, text: &str) -> Vec<String> {
    let code = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
    let leftovers = ["todo!", "unimplemented!", "#[ignore"];
    leftovers.iter().filter(|word| code.contains(**word)).map(|word| format!("{file}: {word}")).collect()
}

fn machine_path_complaints(file: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for folder in ["/home/", "/root/", "/Users/", "/tmp/", "C:\\Users"] {
        for (i, _) in text.match_indices(folder) {
            // "docs/home/" and "https://example.org/home/" are no machine paths.
            let before = text[..i].chars().next_back().unwrap_or(' ');
            if !before.is_alphanumeric() && !"._-/~}".contains(before) {
                complaints.push(format!("{file}: the machine path {folder}…"));
            }
        }
    }
    complaints
}

fn dependency_complaints(crates: &BTreeMap<String, String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, manifest) in crates {
        let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| known == name) else {
            complaints.push(format!("{name}: unknown crate; give it its place in MAY_USE and in ARCHITECTURE.md"));
            continue;
        };
        let manifest: toml::Table = manifest.parse().expect("cargo read it before");
        for (section, for_tests) in [("dependencies", false), ("dev-dependencies", true), ("build-dependencies", false)]
        {
            let used = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            for used in used.filter(|used| used.starts_with("glm-")) {
                let allowed = may_use.contains(&used.as_str()) || for_tests && used == "glm-testkit";
                if !allowed {
                    complaints.push(format!("{name}: {section} must not name {used}"));
                }
            }
        }
    }
    complaints
}

/// Targets of markdown links, without anchors, and those words in backticks that look like paths of this repository.
fn named_paths(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let target = |rest: &str| rest.split([')', '#', ' ']).next().unwrap_or_default().to_string();
    let links = text.split("](").skip(1).map(target);
    let inside = |link: &String| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:");
    let is_path = |word: &&str| {
        let first = word.split('/').next().unwrap_or_default();
        let known = ["crates", "docs", "fixtures", "assets", ".ci"];
        (known.contains(&first) || first.starts_with("glm-"))
            && word.contains('/')
            && !word.contains(|c: char| c.is_whitespace() || "<>*{}…".contains(c))
    };
    let quoted = text.split('`').skip(1).step_by(2).map(|word| word.split("::").next().unwrap_or_default());
    (links.filter(inside).collect(), quoted.filter(is_path).map(str::to_string).collect())
}

fn document_complaints(documents: &[(String, String)], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut linked = BTreeSet::new();
    for (file, text) in documents {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let (links, quoted) = named_paths(text);
        for link in links {
            let target = plain(&folder.join(&link));
            if !exists(&target) {
                complaints.push(format!("{file}: links to {link}, which does not exist"));
            } else if target != Path::new(file) {
                linked.insert(target);
            }
        }
        for path in quoted.iter().filter(|path| !exists(Path::new(path)) && !exists(&Path::new("crates").join(path))) {
            complaints.push(format!("{file}: names {path}, which does not exist"));
        }
    }
    let unlinked = documents.iter().filter(|(file, _)| file != "README.md" && !linked.contains(Path::new(file)));
    complaints.extend(unlinked.map(|(file, _)| format!("{file}: no other document links to it")));
    complaints
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn none_in_sources(rule: impl Fn(&str, &str) -> Vec<String>) {
    none(sources().iter().flat_map(|(file, text)| rule(file, text)).collect());
}

#[test]
fn unsafe_code_stays_in_its_places_and_is_explained() {
    none_in_sources(unsafe_complaints);
    let cpu = "crates/glm-kernels/src/cpu/gemm.rs";
    assert_eq!(unsafe_complaints("crates/glm-data/src/lib.rs", "// SAFETY: no\nunsafe { f() }").len(), 1);
    assert_eq!(unsafe_complaints(cpu, "unsafe { f() }").len(), 1);
    assert!(unsafe_complaints(cpu, "// SAFETY: f is fine.\nunsafe { f() }").is_empty());
    assert!(unsafe_complaints("crates/glm-data/src/lib.rs", "// unsafe\n#![deny(unsafe_code)]").is_empty());
}

#[test]
fn files_stay_short() {
    let lengths: Vec<_> = sources().into_iter().map(|(file, text)| (file, text.lines().count())).collect();
    none(length_complaints(&lengths));
    assert_eq!(length_complaints(&[("a".into(), 701), ("b".into(), 10), ("c".into(), 9)]).len(), 1);
    assert_eq!(length_complaints(&[("a".into(), 201), ("b".into(), 300), ("c".into(), 9)]).len(), 1);
}

#[test]
fn rooms_of_the_model_do_not_know_each_other() {
    none_in_sources(room_complaints);
    let complaints = |room: &str, text: &str| room_complaints(&format!("crates/glm-model/src/{room}/x.rs"), text).len();
    assert_eq!(complaints("glm", "let a = PrefixEncoder::new(Scheme::RowInt4);"), 2);
    assert_eq!(complaints("glm", "let a = adapters.get(slot); // not a prefix\nname.strip_prefix(\"x\")"), 0);
    assert_eq!(complaints("adapter", "fn f(weight: GroupedInt4) {}"), 2);
    assert_eq!(complaints("quant", "use crate::adapter::Prefix;\n#[cfg(test)]\nmod tests {\n lora }"), 2);
    assert_eq!(complaints("weights", "prefix lora int4"), 0);
}

#[test]
fn only_the_binary_prints() {
    none_in_sources(printing_complaints);
    let library = "crates/glm-train/src/lib.rs";
    assert_eq!(
        printing_complaints(library, "fn f() { eprintln!(\"x\") }"),
        [format!("{library}: eprintln! outside glm-cli")]
    );
    assert!(printing_complaints(library, "// println!\n#[cfg(test)]\nmod tests {\nprintln!() }").is_empty());
    assert!(printing_complaints("crates/glm-cli/src/main.rs", "println!()").is_empty());
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    none_in_sources(leftover_complaints);
    assert_eq!(leftover_complaints("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() }").len(), 2);
}

#[test]
fn no_file_names_a_machine_path() {
    let texts: Vec<_> = texts("").into_iter().filter(|(file, _)| file != SELF).collect();
    none(texts.iter().flat_map(|(file, text)| machine_path_complaints(file, text)).collect());
    assert_eq!(machine_path_complaints("a.md", "see /home/me/model and \"/tmp/x\"").len(), 2);
    assert!(machine_path_complaints("a.md", "https://example.org/home/ ~/tmp/x").is_empty());
}

#[test]
fn crates_use_only_what_stands_to_their_left() {
    let named = |(file, text): (String, String)| {
        Some((file.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?.to_string(), text))
    };
    let manifests: BTreeMap<_, _> = texts("/Cargo.toml").into_iter().filter_map(named).collect();
    assert!(manifests.contains_key("glm-testkit"), "the manifests were not found");
    none(dependency_complaints(&manifests));
    let complaints =
        |name: &str, text: &str| dependency_complaints(&BTreeMap::from([(name.into(), text.into())])).len();
    assert_eq!(complaints("glm-model", "[dependencies]\nglm-train.workspace = true\nserde = \"1\""), 1);
    assert_eq!(complaints("glm-train", "[dependencies]\nglm-infer.workspace = true\nglm-testkit.workspace = true"), 2);
    assert_eq!(complaints("glm-train", "[dev-dependencies]\nglm-testkit.workspace = true"), 0);
    assert_eq!(complaints("glm-new", ""), 1);
}

#[test]
fn documents_name_what_exists_and_are_linked() {
    none(document_complaints(&texts(".md"), |path| root().join(path).exists()));
    let known = ["docs/a.md", "docs/b.md", "crates/glm-cli/src"];
    let exists = |path: &Path| known.iter().any(|known| path == Path::new(known));
    let complaints = |a: &str, b: &str| {
        document_complaints(&[("docs/a.md".into(), a.into()), ("docs/b.md".into(), b.into())], exists).len()
    };
    assert_eq!(complaints("[b](b.md#part) `glm-cli/src/` `glm-*/x`", "[a](../docs/a.md) [c](https://c.org)"), 0);
    assert_eq!(complaints("[b](b.md) `crates/glm-gone/src/lib.rs`", "[a](a.md) [gone](gone.md)"), 2);
    assert_eq!(complaints("[b](b.md)", "nothing"), 1);
}
