//! Rules on files: size, names, unfinished work, error codes, links, hosts, change notes.

use crate::{assert_found, found};
use xtask::tidy::{changes, codes, hosts, links, names, size, unfinished};

#[test]
fn a_long_file_is_found() {
    let lines = |count: usize| "\n".repeat(count);
    let file = "crates/api/src/long.rs";
    assert_found(&found(size::check, &[(file, &lines(900))]), &[]);
    assert_found(
        &found(
            size::check,
            &[(file, &lines(901)), ("docs/long.rs", &lines(901))],
        ),
        &["crates/api/src/long.rs:901: 901 lines, and at most 900 are allowed; split it by idea"],
    );
}

#[test]
fn names_without_meaning_are_found() {
    let files = [
        ("crates/api/src/utils.rs", ""),
        ("crates/api/src/helpers/a.rs", ""),
        ("crates/api/src/helpers/b.rs", ""),
        ("crates/api/tests/common/mod.rs", ""),
        (
            "crates/api/src/lib.rs",
            "mod a;\nmod misc { }\n// mod misc {\n",
        ),
        ("crates/api/src/uncommon.rs", ""),
        ("docs/common/a.md", ""),
    ];
    let mut found = found(names::check, &files);
    found.sort();
    assert_found(
        &found,
        &[
            "crates/api/src/helpers:1: `helpers` is no name",
            "crates/api/src/lib.rs:2: `misc` is no name",
            "crates/api/src/utils.rs:1: `utils` is no name",
            "crates/api/tests/common:1: `common` is no name",
        ],
    );
}

#[test]
fn unfinished_work_is_found_outside_tests() {
    let text = "fn a() { todo!() }\nfn b() { unimplemented!(\"x\") }\n// FIXME: c\n/* d\nXXX */\n\
                const E: &str = \"FIXME todo!()\"; // XXXL\n\
                #[cfg(test)]\nmod tests { fn f() { todo!() } // FIXME\n}\n";
    assert_found(
        &found(unfinished::check, &[("crates/api/src/lib.rs", text)]),
        &[
            "crates/api/src/lib.rs:1: `todo!` outside tests",
            "crates/api/src/lib.rs:2: `unimplemented!` outside tests",
            "crates/api/src/lib.rs:3: `FIXME` outside tests",
            "crates/api/src/lib.rs:5: `XXX` outside tests",
        ],
    );
    for file in ["crates/api/tests/it/a.rs", "crates/api/src/a/tests.rs"] {
        assert_found(&found(unfinished::check, &[(file, text)]), &[]);
    }
}

const CODES: (&str, &str) = (
    "crates/api/src/codes.rs",
    "//! Codes.\n\npub const CODES: &[(&str, u16, &str)] = &[\n    (\"one\", 409, \"a; (b\"),\n    (\n        \"two\",\n        404,\n        \"c\",\n    ),\n];\n",
);

#[test]
fn codes_and_pages_match() {
    let one = ("docs/errors/one.md", "# one\n\nText.\n");
    let two = ("docs/errors/two.md", "# two\n");
    let introduction = ("docs/errors/README.md", "# Errors\n");
    assert_found(&found(codes::check, &[CODES, one, two, introduction]), &[]);
    assert_found(
        &found(codes::check, &[CODES, one]),
        &["crates/api/src/codes.rs:6: `two` has no page; write docs/errors/two.md"],
    );
    let headed = ("docs/errors/two.md", "two\n# two\n");
    assert_found(
        &found(codes::check, &[CODES, one, headed]),
        &["docs/errors/two.md:1: the first line is not the code's heading; begin with `# two`"],
    );
    let three = ("docs/errors/three.md", "# three\n");
    assert_found(
        &found(codes::check, &[CODES, one, two, three]),
        &["docs/errors/three.md:1: no code `three` exists"],
    );
}

#[test]
fn the_table_of_codes_is_readable_and_says_each_once() {
    let twice = "pub const CODES: &[(&str, u16, &str)] = &[\n(\"one\", 1, \"\"),\n(\"one\", 2, \"\"),\n];\n";
    let page = ("docs/errors/one.md", "# one\n");
    assert_found(
        &found(codes::check, &[(CODES.0, twice), page]),
        &["crates/api/src/codes.rs:3: `one` stands here and in line 2"],
    );
    assert_found(
        &found(codes::check, &[(CODES.0, "pub enum Code {}\n"), page]),
        &["crates/api/src/codes.rs:1: there is no table `CODES` here"],
    );
    assert_found(&found(codes::check, &[page]), &[]);
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let readme = "\
[a](docs/a.md) [b](docs/b.md) ![c](c.png \"title\") `[d](d.md)` [e](https://example.com/e)\n\
```\n[f](f.md)\n```\n\
[g](#here) [h](docs/a.md#there) [i](docs) [j](../outside.md) [k](/docs/a.md)\n\
[label]: docs/missing.md\n\
[l](<docs/with space.md>) [m](docs/with%20space.md) [n](mailto:a@example.com)\n";
    let nested = "[up](../../README.md) [side](sibling.md)\n";
    let files = [
        ("README.md", readme),
        ("docs/a.md", ""),
        ("docs/with space.md", ""),
        ("docs/guides/start.md", nested),
        ("crates/api/notes.md", "[not checked](nowhere.md)\n"),
    ];
    assert_found(
        &found(links::check, &files),
        &[
            "README.md:1: the link to `docs/b.md` leads nowhere",
            "README.md:1: the link to `c.png` leads nowhere",
            "README.md:5: the link to `../outside.md` leads nowhere",
            "README.md:6: the link to `docs/missing.md` leads nowhere",
            "docs/guides/start.md:1: the link to `sibling.md` leads nowhere",
        ],
    );
}

#[test]
fn hosts_of_packages_are_found() {
    // In pieces, as in the check itself.
    let host = ["crates", "io"].join(".");
    let named = format!("one\nhttps://static.{host}/x and {host}.\n");
    let shouted = format!("see {}!\n", host.to_uppercase());
    let lock = format!("source = \"registry+https://example.com/{host}-index\"\n");
    let alike = format!("my{host} {host}.example.com {host}n\n");
    let files = [
        ("a.md", named.as_str()),
        ("b/c.yaml", shouted.as_str()),
        ("Cargo.lock", lock.as_str()),
        ("alike.md", alike.as_str()),
    ];
    assert_found(&found(hosts::check, &files), &["a.md:2: ", "b/c.yaml:1: "]);
}

#[test]
fn a_change_is_told() {
    let note = ("changes/unreleased/0001-a.md", "A user notices this.\n");
    assert_found(&found(changes::check, &[note]), &[]);
    assert_found(
        &found(changes::check, &[("README.md", "")]),
        &["changes/unreleased:1: no change is told here"],
    );
    let empty = ("changes/unreleased/0002-b.md", " \n");
    let other = ("changes/unreleased/c.txt", "c");
    assert_found(
        &found(changes::check, &[note, empty, other]),
        &[
            "changes/unreleased/0002-b.md:1: the note is empty",
            "changes/unreleased/c.txt:1: this is no Markdown file",
        ],
    );
}
