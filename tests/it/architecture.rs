//! What may use what: the code that decides touches nothing, AWS's SDK stands in one folder, and dependencies point one
//! way.

use crate::bench::root;
use std::path::{Path, PathBuf};

/// What has I/O, a clock, randomness or waiting in it.
const IMPURE: [&str; 14] = [
    "async ",
    ".await",
    "tokio",
    "futures",
    "aws_sdk_",
    "aws_config",
    "reqwest",
    "kube::Client",
    "kube::Api",
    "std::fs",
    "std::net",
    "std::env",
    "::now(",
    "rand",
];

/// The code that decides: the plan, its parts, and all that they are made from.
const PURE: [&str; 32] = [
    "src/api",
    "src/app/unload/end.rs",
    "src/app/unload/facts.rs",
    "src/app/unload/manifest.rs",
    "src/link/plan.rs",
    "src/link/status.rs",
    "src/link/parts",
    "src/link/facts.rs",
    "src/link/facts",
    "src/link/request.rs",
    "src/link/want.rs",
    "src/link/others.rs",
    "src/link/undone.rs",
    "src/unload/attempt.rs",
    "src/unload/attempts.rs",
    "src/unload/encryption.rs",
    "src/unload/end.rs",
    "src/unload/history.rs",
    "src/unload/lexer.rs",
    "src/unload/plan.rs",
    "src/unload/query.rs",
    "src/unload/query_error.rs",
    "src/unload/request.rs",
    "src/unload/run.rs",
    "src/unload/statement.rs",
    "src/unload/status.rs",
    "src/unload/step.rs",
    "src/unload/submission.rs",
    "src/unload/teardown.rs",
    "src/unload/under_way.rs",
    "src/unload/verify.rs",
    "src/unload/whose.rs",
];

/// Each folder, with the folders that it may use.
const LAYERS: [(&str, &[&str]); 7] = [
    ("api", &[]),
    ("observability", &[]),
    ("aws", &["api", "observability"]),
    ("kubernetes", &["api", "aws"]),
    ("link", &["api", "aws", "kubernetes", "observability"]),
    ("unload", &["api", "aws", "kubernetes", "link", "observability"]),
    ("app", &["api", "aws", "cli", "kubernetes", "link", "observability", "unload"]),
];

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    entries.flat_map(|entry| files_below(&entry.expect("readable").path())).collect()
}

/// The lines of code of a file, with their numbers: no comments, and nothing after `mod tests`.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).expect("a source file");
    let lines = text.lines().take_while(|line| !line.starts_with("mod tests")).enumerate();
    let code = lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default().to_owned()));
    code.filter(|(_, line)| !line.trim().is_empty()).collect()
}

fn offences(path: &Path, of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let found = code(path).into_iter().filter_map(|(n, line)| of(&line).map(|what| (n, what)));
    found.map(|(n, what)| format!("{}:{n}: {what}", path.display())).collect()
}

#[test]
fn what_decides_is_free_of_io() {
    let files: Vec<_> = PURE.iter().flat_map(|path| files_below(&root().join(path))).collect();
    assert!(files.len() > 15, "{files:?}");
    let impure = |line: &str| IMPURE.iter().find(|word| line.contains(**word)).map(|word| format!("`{word}`"));
    let found: Vec<_> = files.iter().flat_map(|file| offences(file, impure)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_sdk_is_used_in_one_folder() {
    let sdk = root().join("src/aws/sdk");
    let uses = |line: &str| ["aws_sdk_", "aws_smithy_"].iter().any(|word| line.contains(word)).then(|| line.to_owned());
    let found: Vec<_> = files_below(&root().join("src"))
        .iter()
        .filter(|file| !file.starts_with(&sdk))
        .flat_map(|file| offences(file, uses))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    assert!(files_below(&sdk).iter().any(|file| !offences(file, uses).is_empty()), "the search finds what is there");
}

#[test]
fn dependencies_point_one_way() {
    for (folder, allowed) in LAYERS {
        let others = LAYERS.iter().map(|(name, _)| *name).chain(["cli"]);
        let refused: Vec<_> = others.filter(|name| *name != folder && !allowed.contains(name)).collect();
        let uses = |line: &str| {
            refused.iter().find(|name| line.contains(&format!("crate::{name}"))).map(|name| format!("uses {name}"))
        };
        let files = files_below(&root().join("src").join(folder));
        let found: Vec<_> = files.iter().flat_map(|file| offences(file, uses)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}
