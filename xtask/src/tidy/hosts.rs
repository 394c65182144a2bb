//! No file names a host that packages come from. Where they come from is the business of each
//! machine's own configuration, and mirrors must work.

use super::{Problem, Tree};

/// The hosts in pieces, so that this file does not name them. A host stands for its subdomains too.
const HOSTS: &[(&str, &str)] = &[
    ("crates", "io"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("yarnpkg", "com"),
    ("unpkg", "com"),
    ("jsdelivr", "net"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("rubygems", "org"),
    ("proxy.golang", "org"),
    ("sum.golang", "org"),
    ("maven.apache", "org"),
    ("maven", "org"),
    ("nuget", "org"),
    ("packagist", "org"),
    ("hex", "pm"),
    ("deb.debian", "org"),
    ("security.debian", "org"),
    ("archive.ubuntu", "com"),
    ("docker", "io"),
    ("hub.docker", "com"),
    ("ghcr", "io"),
    ("quay", "io"),
    ("gcr", "io"),
];

/// Every line that names one of those hosts.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let hosts: Vec<String> = HOSTS
        .iter()
        .map(|(name, end)| format!("{name}.{end}"))
        .collect();
    let mut problems = Vec::new();
    for file in tree.files() {
        let text = tree.text(file).unwrap_or_default().to_ascii_lowercase();
        for (index, line) in text.lines().enumerate() {
            for host in hosts.iter().filter(|host| names(line, host)) {
                problems.push(Problem::new(
                    file,
                    index + 1,
                    format!("`{host}` is a host that packages come from"),
                    "leave it out; examples use names such as `registry.example.com`",
                ));
            }
        }
    }
    problems
}

/// Whether `host` or a subdomain of it stands in `line`, not merely as a part of a longer name.
fn names(line: &str, host: &str) -> bool {
    let inside_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    line.match_indices(host).any(|(start, _)| {
        let (before, from) = line.split_at(start);
        let after = from.strip_prefix(host).unwrap_or("");
        let mut next = after.chars();
        let goes_on = match next.next() {
            Some('.') => next.next().is_some_and(inside_name),
            Some(c) => inside_name(c),
            None => false,
        };
        !before.ends_with(inside_name) && !goes_on
    })
}
