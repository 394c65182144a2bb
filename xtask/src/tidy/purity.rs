//! The decision core has no clock, no randomness, no threads and no outside world. Every rule here
//! names what the core's source may not.
//!
//! A line is let off by a comment on it, or on the line above if nothing else is there:
//! `tidy:allow(<ban>): <reason>`.

use super::rust_text::{CodePath, RustText};
use super::{Problem, Tree};
use std::path::Path;

struct Ban {
    name: &'static str,
    /// The crates it holds in.
    crates: &'static [&'static str],
    broken_by: fn(&CodePath) -> bool,
    mend: &'static str,
}

const CORE: &[&str] = &["engine", "model", "expressions"];

const BANS: &[Ban] = &[
    Ban {
        name: "tokio",
        crates: CORE,
        broken_by: |path| from_crate(path, &["tokio", "tokio_util", "tokio_stream", "futures"]),
        mend: "keep the core synchronous; tasks belong to the controller",
    },
    Ban {
        name: "clock",
        crates: CORE,
        broken_by: |path| {
            let own = ["crate", "self", "super"]
                .iter()
                .any(|o| begins(path, &[o]));
            let clocks = ["Instant", "SystemTime"];
            (!own && clocks.iter().any(|clock| pair(path, "time", clock)))
                || begins(path, &["std", "time", "*"])
                || (clocks.iter().chain(&["Timestamp", "Zoned", "Utc", "Local"]))
                    .any(|clock| pair(path, clock, "now"))
                || pair(path, "TimeZone", "system")
                || pair(path, "TimeZone", "try_system")
        },
        mend: "take the time as an argument, or from the entry",
    },
    Ban {
        name: "thread",
        // The parser of expressions runs on a thread with a big stack.
        crates: &["engine", "model"],
        broken_by: |path| {
            let acts = ["spawn", "scope", "sleep", "Builder", "current", "yield_now"];
            begins(path, &["std", "thread"]) || acts.iter().any(|act| pair(path, "thread", act))
        },
        mend: "decide in one thread; parallel work belongs to the controller",
    },
    Ban {
        name: "random",
        crates: CORE,
        broken_by: |path| {
            let makers = ["now_v7", "new_v7", "new_v4", "now_v6", "now_v1"];
            from_crate(
                path,
                &["rand", "rand_core", "getrandom", "fastrand", "oorandom"],
            ) || makers.iter().any(|maker| pair(path, "Uuid", maker))
                || path.segments.iter().any(|s| s == "RandomState")
        },
        mend: "take ids made by the shell, or derive them from (entry id, ordinal)",
    },
    Ban {
        name: "sql",
        crates: CORE,
        broken_by: |path| {
            let databases = [
                "rusqlite",
                "sqlx",
                "tokio_postgres",
                "postgres",
                "deadpool_postgres",
                "diesel",
            ];
            from_crate(path, &databases)
        },
        mend: "storage belongs to the store",
    },
    Ban {
        name: "net",
        crates: CORE,
        broken_by: |path| begins(path, &["std", "net"]),
        mend: "the network belongs to the controller and the integrations",
    },
    Ban {
        name: "fs",
        crates: CORE,
        broken_by: |path| begins(path, &["std", "fs"]),
        mend: "take the content as an argument",
    },
    Ban {
        name: "env",
        crates: CORE,
        broken_by: |path| begins(path, &["std", "env"]),
        mend: "take the setting as an argument",
    },
    Ban {
        name: "process",
        crates: CORE,
        broken_by: |path| begins(path, &["std", "process"]),
        mend: "programs are started by agents and the runner",
    },
    Ban {
        name: "hash-map",
        crates: &["engine"],
        broken_by: |path| {
            let unordered = ["HashMap", "HashSet", "hash_map", "hash_set"];
            path.segments
                .iter()
                .any(|s| unordered.contains(&s.as_str()))
        },
        mend: "use `BTreeMap` or `BTreeSet`, or an index by number: what reaches a decision is ordered",
    },
];

/// Every place in the core's source that names what its crate may not.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for name in CORE {
        let bans: Vec<&Ban> = BANS.iter().filter(|b| b.crates.contains(name)).collect();
        let folder = format!("crates/{name}/src");
        for file in tree.rust_files(&[folder.as_str()]) {
            let text = RustText::read(&tree.text(file).unwrap_or_default());
            check_file(file, &text, &bans, &mut problems);
        }
    }
    problems
}

fn check_file(file: &Path, text: &RustText, bans: &[&Ban], problems: &mut Vec<Problem>) {
    let mut allowances = allowances(file, text, problems);
    for path in text.paths() {
        for ban in bans.iter().filter(|ban| (ban.broken_by)(&path)) {
            let mut allowed = false;
            for allowance in &mut allowances {
                if allowance.ban == ban.name && allowance.covers(text, path.line) {
                    allowance.used = true;
                    allowed = true;
                }
            }
            if !allowed {
                problems.push(Problem::new(
                    file,
                    path.line,
                    format!(
                        "`{}` is banned here ({})",
                        path.segments.join("::"),
                        ban.name
                    ),
                    ban.mend,
                ));
            }
        }
    }
    for allowance in allowances.iter().filter(|allowance| !allowance.used) {
        problems.push(Problem::new(
            file,
            allowance.line,
            format!("`tidy:allow({})` lets nothing off", allowance.ban),
            "take it away",
        ));
    }
}

struct Allowance {
    ban: String,
    line: usize,
    used: bool,
}

impl Allowance {
    fn covers(&self, text: &RustText, line: usize) -> bool {
        self.line == line || (self.line + 1 == line && !text.has_code(self.line))
    }
}

fn allowances(file: &Path, text: &RustText, problems: &mut Vec<Problem>) -> Vec<Allowance> {
    let mut allowances = Vec::new();
    for (line, comment) in &text.comments {
        let Some((_, rest)) = comment.split_once("tidy:allow(") else {
            continue;
        };
        let (ban, rest) = rest.split_once(')').unwrap_or((rest, ""));
        let reason = rest.strip_prefix(':').unwrap_or("").trim();
        if reason.is_empty() || !BANS.iter().any(|known| known.name == ban) {
            let names: Vec<&str> = BANS.iter().map(|ban| ban.name).collect();
            problems.push(Problem::new(
                file,
                *line,
                format!("`tidy:allow({ban})` needs a known ban and a reason"),
                format!(
                    "write `tidy:allow(<ban>): <reason>`, where the ban is one of {}",
                    names.join(", ")
                ),
            ));
            continue;
        }
        allowances.push(Allowance {
            ban: ban.to_owned(),
            line: *line,
            used: false,
        });
    }
    allowances
}

fn begins(path: &CodePath, prefix: &[&str]) -> bool {
    path.segments.len() >= prefix.len() && path.segments.iter().zip(prefix).all(|(a, b)| a == b)
}

/// Whether `first::second` is part of the path.
fn pair(path: &CodePath, first: &str, second: &str) -> bool {
    let mut pairs = path.segments.windows(2);
    pairs.any(|pair| matches!(pair, [a, b] if a == first && b == second))
}

/// Whether the path begins in one of these crates. A word on its own may be a variable.
fn from_crate(path: &CodePath, crates: &[&str]) -> bool {
    let first = path.segments.first().map_or("", String::as_str);
    crates.contains(&first) && (path.imported || path.segments.len() > 1)
}
