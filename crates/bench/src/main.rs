//! How fast Stagegate is at fleet size, each figure beside the least that the machine itself takes for the same.
//!
//! Every benchmark runs in a process of its own, so that none inherits another's memory. `docs/performance.md` says how
//! to read what is printed.

mod bare;
mod connection;
mod edits;
mod fan_out;
mod figure;
mod footprint;
mod ingest;
mod instructions;
mod limits;
mod progression;
mod reads;
mod served;
mod startup;
mod storm;
mod tenants;
mod world;

use anyhow::{Context as _, Result, bail};
use figure::Figure;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: stagegate_allocator::Allocator = stagegate_allocator::Allocator;

const USAGE: &str = "\
usage: stagegate-bench [--quick] [--json FILE] [--max TARGETS] [--seconds N] [NAME…]
       stagegate-bench --instructions [--update]

  NAME           which benchmarks to run: a letter of the table in docs/performance.md, or its name (default: all)
  --quick        small fleets and few rounds: shows that it runs; its figures are worth nothing
  --max TARGETS  no fleet larger than this (default 1000000)
  --seconds N    how long what is measured over a time is measured (default 20, with --quick 2)
  --json FILE    write the figures there too
  --instructions count the instructions of the hot paths with valgrind; fails when they are more than is written down
  --update       write them down
";

/// How large the fleets are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    quick: bool,
    max: usize,
    seconds: Option<u64>,
}

impl Sizes {
    /// The fleets over which growth is shown.
    fn growth(self) -> Vec<usize> {
        self.of(&[10_000, 100_000, 1_000_000])
    }

    /// Those of `wanted` that may be; at least one small one.
    fn of(self, wanted: &[usize]) -> Vec<usize> {
        if self.quick {
            return vec![2_000];
        }
        let fitting = wanted.iter().copied().filter(|size| *size <= self.max);
        fitting.collect()
    }

    /// The largest of them.
    fn largest(self, wanted: usize) -> usize {
        if self.quick {
            2_000
        } else {
            wanted.min(self.max)
        }
    }

    /// For how long something is done.
    fn duration(self, wanted: u64) -> Duration {
        let seconds = if self.quick { 2 } else { wanted };
        Duration::from_secs(self.seconds.unwrap_or(seconds))
    }

    /// How often something is repeated.
    fn rounds(self, wanted: usize) -> usize {
        if self.quick { wanted.min(20) } else { wanted }
    }
}

type Bench = fn(Sizes) -> Result<Vec<Figure>>;

/// Every benchmark: its letter, its name, what it does.
const BENCHES: &[(&str, &str, Bench)] = &[
    ("a", "fan-out", fan_out::run),
    ("b", "progression", progression::run),
    ("c", "policy-edit", edits::policy),
    ("d", "ingest", ingest::run),
    ("e", "resource-change", edits::resource),
    ("f", "selector", edits::selector),
    ("g", "memory", footprint::run),
    ("h", "start-up", startup::run),
    ("i", "reads", reads::run),
    ("j", "timer-storm", storm::run),
    ("k", "tenants", tenants::run),
];

struct Options {
    sizes: Sizes,
    json: Option<String>,
    instructions: bool,
    update: bool,
    /// Does the work of this count, for valgrind.
    counted: Option<String>,
    /// Runs this one here and prints its figures for the parent.
    alone: Option<String>,
    names: Vec<String>,
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        sizes: Sizes {
            quick: false,
            max: 1_000_000,
            seconds: None,
        },
        json: None,
        instructions: false,
        update: false,
        counted: None,
        alone: None,
        names: Vec::new(),
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .context(format!("`{argument}` needs a value"))
        };
        match argument.as_str() {
            "--quick" => options.sizes.quick = true,
            "--json" => options.json = Some(value()?),
            "--max" => options.sizes.max = value()?.parse().context("`--max` needs a number")?,
            "--instructions" => options.instructions = true,
            "--update" => options.update = true,
            "--counted" => options.counted = Some(value()?),
            "--seconds" => {
                let seconds = value()?.parse().context("`--seconds` needs a number")?;
                options.sizes.seconds = Some(seconds);
            }
            "--alone" => options.alone = Some(value()?),
            "--help" | "-h" => {
                print!("{USAGE}");
                std::process::exit(0);
            }
            flag if flag.starts_with('-') => bail!("there is no option `{flag}`\n\n{USAGE}"),
            name => options.names.push(name.to_owned()),
        }
    }
    for name in &options.names {
        if !BENCHES
            .iter()
            .any(|(letter, full, _)| [letter, full].contains(&&name.as_str()))
        {
            let known: Vec<_> = BENCHES
                .iter()
                .map(|(letter, full, _)| format!("{letter} ({full})"))
                .collect();
            bail!(
                "there is no benchmark `{name}`; there are {}",
                known.join(", ")
            );
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    stagegate_allocator::keep_free_memory();
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stagegate-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let options = options(std::env::args().skip(1))?;
    if let Some(name) = &options.counted {
        instructions::work(name)?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.instructions {
        let well = instructions::check(options.update)?;
        return Ok(if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if let Some(name) = &options.alone {
        let bench = BENCHES.iter().find(|(_, full, _)| full == name);
        let (_, _, bench) = bench.context("no such benchmark")?;
        let figures = bench(options.sizes)?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut figures = Vec::new();
    println!("{}", figure::heading());
    for (letter, name, _) in BENCHES {
        let wanted =
            options.names.is_empty() || options.names.iter().any(|it| it == letter || it == name);
        if !wanted {
            continue;
        }
        let found = in_a_process(name, options.sizes)?;
        for figure in &found {
            println!("{}", figure.line());
        }
        figures.extend(found);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(file, text).with_context(|| format!("`{file}` cannot be written"))?;
    }
    // On a machine that does something else meanwhile a figure says little, so none fails the run.
    Ok(ExitCode::SUCCESS)
}

fn in_a_process(name: &str, sizes: Sizes) -> Result<Vec<Figure>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--alone", name, "--max", &sizes.max.to_string()]);
    if sizes.quick {
        command.arg("--quick");
    }
    if let Some(seconds) = sizes.seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    // What was given back is gone at once: memory is what is kept.
    if name == "memory" {
        command.env("MIMALLOC_PURGE_DELAY", "0");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the benchmark `{name}` ended with {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("the benchmark `{name}` printed no figures"))
}
