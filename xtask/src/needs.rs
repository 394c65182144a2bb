//! What the tests need from the machine beyond Rust and a C compiler, and how it gets there.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program that tests start, and the Debian package that brings it.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// The Debian package.
    pub package: &'static str,
    /// Any one of these on `PATH` will do.
    pub programs: &'static [&'static str],
    /// What it is needed for, as shown to a person who must install it.
    pub purpose: &'static str,
}

/// The one list of packages. A test that starts a program adds its package here.
pub const NEEDS: &[Need] = &[
    Need {
        package: "chromium",
        programs: &["chromium", "chromium-browser", "google-chrome"],
        purpose: "the browser that tests of the pages use",
    },
    Need {
        package: "chromium-driver",
        programs: &["chromedriver"],
        purpose: "drives that browser",
    },
    Need {
        package: "git",
        programs: &["git"],
        purpose: "names the files that `tidy` checks",
    },
    Need {
        package: "sqlite3",
        programs: &["sqlite3"],
        purpose: "looks into a database from outside, as an operator would",
    },
    Need {
        package: "valgrind",
        programs: &["valgrind"],
        purpose: "counts the instructions of the hot paths",
    },
];

/// The parts of the Rust toolchain beyond its minimal profile: cargo's subcommand, rustup's component.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// What stands between this machine and the tests.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Ready,
    /// These commands, which may be run here, in this order.
    Run(Vec<Vec<String>>),
    /// Something a person must do; the text says exactly what.
    Tell(String),
}

/// The needs for which no program is in a folder of `path` (written as `PATH` is).
pub fn missing<'a>(needs: &'a [Need], path: &OsStr) -> Vec<&'a Need> {
    needs
        .iter()
        .filter(|need| !need.programs.iter().any(|program| on_path(program, path)))
        .collect()
}

/// How to get what is `missing`.
pub fn plan(missing: &[&Need], root_user: bool, has_apt: bool) -> Plan {
    if missing.is_empty() {
        return Plan::Ready;
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let update = ["apt-get", "update"];
    let mut install = vec!["apt-get", "install", "-y", "--no-install-recommends"];
    install.extend(&packages);
    if root_user && has_apt {
        return Plan::Run(vec![
            update.map(String::from).to_vec(),
            install.into_iter().map(String::from).collect(),
        ]);
    }
    let mut text = String::from("the tests need programs that are not installed:\n");
    for need in missing {
        text += &format!("  {:<16} {}\n", need.package, need.purpose);
    }
    if has_apt {
        text += &format!(
            "run:\n  sudo {} && sudo {}",
            update.join(" "),
            install.join(" ")
        );
    } else {
        text += &format!(
            "`apt-get` is not here: install {} with your system's package manager",
            packages.join(", ")
        );
    }
    Plan::Tell(text)
}

/// The rustup components that `cargo` lacks here.
pub fn missing_components(cargo: &OsStr) -> Vec<&'static str> {
    COMPONENTS
        .iter()
        .filter(|(subcommand, _)| !succeeds(Command::new(cargo).args([subcommand, "--version"])))
        .map(|(_, component)| *component)
        .collect()
}

/// How to get the `components` that are missing.
pub fn plan_components(components: &[&str], has_rustup: bool) -> Plan {
    if components.is_empty() {
        return Plan::Ready;
    }
    let mut add = vec!["rustup", "component", "add"];
    add.extend(components);
    if has_rustup {
        Plan::Run(vec![add.into_iter().map(String::from).collect()])
    } else {
        Plan::Tell(format!(
            "the Rust toolchain lacks {}, and `rustup` is not here; with it the command is:\n  {}",
            components.join(" and "),
            add.join(" ")
        ))
    }
}

/// Whether this process runs as root; `false` where `id` does not exist.
pub fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether a folder of `path` holds an executable file called `program`.
pub fn on_path(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|folder| is_executable(&folder.join(program)))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file() || file.with_extension("exe").is_file()
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
