//! Runs seeds and prints what fails.

use stagegate_sim::counts::{Counts, EXPECTED, MANY_SEEDS, RARE};
use stagegate_sim::{Nobody, Run, Step, plan, run_steps, shrink};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "\
usage: stagegate-sim [--seeds N] [--seed S] [--steps K] [--quiet] [--trace] [--survey]

  --seeds N  how many seeds to run, one after the other (default 100)
  --seed S   the first seed (default 1)
  --steps K  steps in each run (default 50)
  --quiet    print nothing but failures
  --trace    print everything that happens in the first seed
  --survey   go on after a failure: one line for each seed that fails, none made smaller
";

/// Runs spent on making a failing run smaller.
const SHRINKING_RUNS: usize = 400;

struct Options {
    seeds: u64,
    seed: u64,
    steps: usize,
    quiet: bool,
    trace: bool,
    survey: bool,
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seeds: 100,
        seed: 1,
        steps: 50,
        quiet: false,
        trace: false,
        survey: false,
    };
    let mut one_seed = false;
    let mut many = false;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().unwrap_or_default();
            let number = text.parse::<u64>();
            number.map_err(|_| format!("`{argument}` needs a number, not `{text}`"))
        };
        match argument.as_str() {
            "--seeds" => {
                options.seeds = number()?;
                many = true;
            }
            "--seed" => {
                options.seed = number()?;
                one_seed = true;
            }
            "--steps" => options.steps = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--quiet" => options.quiet = true,
            "--trace" => options.trace = true,
            "--survey" => options.survey = true,
            other => return Err(format!("there is no option `{other}`")),
        }
    }
    if one_seed && !many {
        options.seeds = 1;
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("{error}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if options.trace {
        let steps = plan::draw(options.seed, options.steps);
        let run = run_steps(options.seed, &steps, &mut Nobody, true);
        return report(&options, options.seed, &run);
    }
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let (entries, jobs) = (AtomicU64::new(0), AtomicU64::new(0));
    let counts: Mutex<Counts> = Mutex::default();
    let failed = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let over = failed.load(Ordering::Relaxed) && !options.survey;
                    if index >= options.seeds || over {
                        return;
                    }
                    let seed = options.seed.wrapping_add(index);
                    let run = stagegate_sim::run(seed, options.steps);
                    entries.fetch_add(run.entries as u64, Ordering::Relaxed);
                    jobs.fetch_add(run.jobs as u64, Ordering::Relaxed);
                    let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    all.merge(&run.counts);
                    drop(all);
                    if let Some(violation) = run.violation.as_ref().filter(|_| options.survey) {
                        failed.store(true, Ordering::Relaxed);
                        println!("seed {seed} FAILED: {violation}");
                        continue;
                    }
                    if run.violation.is_some() && !failed.swap(true, Ordering::Relaxed) {
                        report(&options, seed, &run);
                    }
                }
            });
        }
    });
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    if !options.quiet {
        println!(
            "{} seeds from {} held: {} entries, {} jobs, {:.1} s",
            options.seeds,
            options.seed,
            entries.load(Ordering::Relaxed),
            jobs.load(Ordering::Relaxed),
            started.elapsed().as_secs_f64()
        );
        let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (what, count) in counts.iter() {
            println!("{count:>9}  {what}");
        }
        let expected = EXPECTED.iter().chain(RARE);
        let never: Vec<_> = expected.filter(|what| counts.of(what) == 0).collect();
        for what in &never {
            println!("    never  {what}");
        }
        // A fault that is planned and never met would test nothing.
        if options.seeds >= MANY_SEEDS && !never.is_empty() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints a run that failed, made as small as it can be.
fn report(options: &Options, seed: u64, run: &Run) -> ExitCode {
    let Some(violation) = &run.violation else {
        println!(
            "seed {seed} held: {} entries, trace {}",
            run.entries, run.hash
        );
        return ExitCode::SUCCESS;
    };
    println!("seed {seed} FAILED: {violation}");
    let steps = plan::draw(seed, options.steps);
    let again = run_steps(seed, &steps, &mut Nobody, false);
    if again.hash != run.hash {
        println!(
            "and it does not replay: trace {} and {}",
            run.hash, again.hash
        );
    }
    let fails = |steps: &[Step]| {
        let run = run_steps(seed, steps, &mut Nobody, false);
        run.violation.is_some_and(|it| it.rule == violation.rule)
    };
    let small = shrink::shrink(&steps, SHRINKING_RUNS, fails);
    let run = run_steps(seed, &small, &mut Nobody, false);
    println!(
        "the end of the smallest run that fails so ({} steps):",
        small.len()
    );
    for line in &run.tail {
        println!("{line}");
    }
    if let Some(violation) = &run.violation {
        println!("{violation}");
    }
    println!(
        "replay: cargo xtask sim --seed {seed} --steps {}",
        options.steps
    );
    ExitCode::FAILURE
}
