//! The repository's own tasks: `test`, `ci`, `tidy`, `sim` and `bench`.
//!
//! Few dependencies on purpose: this crate is built before anything can be checked.

pub mod needs;
pub mod steps;
pub mod test;
pub mod tidy;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  test [--skip-install] [FILTER…]  check everything: needed programs, format, tidy, clippy, build, tests;
                                   FILTERs name the tests to run, --skip-install leaves the machine as it is
  ci [--skip-install] [FILTER…]    the same with CI's settings (as `test` does when `CI` is set)
  tidy [--root DIR]                check the house rules that no compiler knows
  sim [--seeds N] [--seed S] …     run the simulator, built for speed, over many seeds; a seed that fails is shrunk
  bench [--quick] [NAME…]          measure at fleet size, beside the machine's own limits; `--instructions` counts those
                                   of the hot paths and fails when there are more than is written down
";

/// Runs the task that `arguments` (without the program's name) ask for.
pub fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    match task {
        "test" | "ci" => {
            let mut options = test::Options::parse(rest)?;
            options.ci |= task == "ci";
            test::run(&repository_root()?, &options)
        }
        "tidy" => {
            let root = match rest {
                [] => repository_root()?,
                [flag, directory] if flag == "--root" => PathBuf::from(directory),
                _ => bail!("`tidy` takes nothing but `--root DIR`\n\n{USAGE}"),
            };
            Ok(tidy::report(&tidy::check(&root)?))
        }
        "sim" | "bench" => {
            let package = format!("stagegate-{task}");
            let arguments = ["run", "--release", "--quiet", "-p", &package, "--"];
            let arguments = arguments
                .into_iter()
                .map(String::from)
                .chain(rest.iter().cloned());
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let arguments: Vec<String> = arguments.collect();
            steps::execute(&repository_root()?, &cargo, &arguments, &[])?;
            Ok(ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no task `{other}`\n\n{USAGE}"),
    }
}

/// The repository this run belongs to. Asked at run time, not compiled in, because checkouts may
/// share a target directory.
fn repository_root() -> Result<PathBuf> {
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&manifest).parent()
    {
        return Ok(root.to_path_buf());
    }
    let here = std::env::current_dir().context("the current directory cannot be read")?;
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .context("this is not inside the repository: no folder above has `xtask/Cargo.toml`")
}
