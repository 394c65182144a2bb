//! `stagegate demo`: the whole way on this machine, from a version in CI to a verified production, with real
//! processes: a server, a runner, and two small services that are deployed, measured and (the second time) broken.

mod processes;
mod progress;
mod rollback;
mod watch;
mod workload;

use crate::Answer;
use crate::commands::lasting_runtime;
use crate::stopping;
use crate::values;
use anyhow::{Context as _, Result, bail};
use processes::Processes;
use progress::Progress;
use stagegate_api::client::{Client, Workspace};
use stagegate_api::{CastVotes, CreateVersion, Promotion};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How long any one step may take before the demo says that something is wrong.
const STEP_DEADLINE: Duration = Duration::from_secs(120);
/// How often progress is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

const GOOD: &str = "v1.2.3";
const BAD: &str = "v1.2.4";

/// See a version go through staging, verification and approval to production, and a bad one stopped.
///
/// With `--story rollback`: see a version turn bad in production, and production back on the one before in seconds.
/// Everything runs on this machine and is stopped at the end.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stagegate demo\n  stagegate demo --auto-approve\n  stagegate demo --story rollback\n  stagegate demo --keep --data ./demo-data"
)]
pub struct Args {
    /// What to see.
    #[arg(long, value_enum, default_value_t = Story::Promotion)]
    story: Story,
    /// With `--story rollback`: how long after the failing check the last service may be back.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    within: Duration,
    /// Approve production without asking (for scripts).
    #[arg(long)]
    auto_approve: bool,
    /// Stay up at the end, until Ctrl-C, to look around.
    #[arg(long)]
    keep: bool,
    /// Keep the data in this directory, which must be empty or new; otherwise a temporary one is used and removed.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the server listens; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: String,
}

/// What the demo tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Story {
    /// A good version goes to production, and a bad one is stopped in staging
    Promotion,
    /// A version turns bad in production and is rolled back
    Rollback,
}

impl Story {
    fn documents(self) -> &'static workload::Documents {
        match self {
            Self::Promotion => &workload::PROMOTION,
            Self::Rollback => &workload::ROLLBACK,
        }
    }
}

impl Args {
    /// Runs the demo; the exit code says whether all went as it should.
    ///
    /// # Errors
    /// When something did not go as it should, in words.
    pub fn run(self) -> Result<Answer> {
        let runtime = lasting_runtime()?;
        let answer = runtime.block_on(run(self));
        // Standard input may still be being read; that must not hold up the end.
        runtime.shutdown_background();
        answer
    }
}

async fn run(args: Args) -> Result<Answer> {
    let (dir, temporary) = directory(args.data.clone())?;
    let mut processes = Processes::new(dir.clone());
    let finished = AtomicBool::new(false);
    let told = tokio::select! {
        told = story(&args, &mut processes, &finished) => told,
        () = stopping::signals()? => {
            println!("\nstopping");
            Ok(if finished.load(Ordering::Relaxed) { Answer::Yes } else { Answer::No })
        }
    };
    processes.stop().await;
    if temporary {
        // What is left behind lies in the system's temporary directory; that it could not be removed harms nobody.
        let _ = std::fs::remove_dir_all(&dir);
    } else {
        println!("\nThe data stays in {}.", dir.display());
    }
    told
}

fn directory(named: Option<PathBuf>) -> Result<(PathBuf, bool)> {
    let Some(dir) = named else {
        let dir = std::env::temp_dir().join(format!("stagegate-demo-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make `{}`", dir.display()))?;
        return Ok((dir, true));
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    if std::fs::read_dir(&dir)?.next().is_some() {
        bail!(
            "`{}` is not empty; name a new directory, the demo starts from nothing",
            dir.display()
        );
    }
    Ok((dir.canonicalize()?, false))
}

async fn story(args: &Args, processes: &mut Processes, finished: &AtomicBool) -> Result<Answer> {
    println!("Stagegate demo: one deployment, two environments, on this machine.\n");
    let server = processes.start_server(&args.listen).await?;
    println!("  server     {}", server.url);
    println!("  API key    {}  (role admin)", server.key);
    let client = Client::new(&server.url, &server.key)?;
    let me = client.me().await?;
    let workspace = me
        .workspaces
        .first()
        .context("the server has no workspace")?;
    let workspace = client.workspace(workspace.id.clone());

    let workload = workload::prepare(args.story.documents())?;
    let report = workspace.apply(&workload.documents, false).await?;
    println!(
        "  applied    {} documents of {}",
        report.documents.len(),
        workload.folder
    );
    let runner_key = workspace
        .create_key(&stagegate_api::CreateKey {
            name: "demo runner".to_owned(),
            role: "agent".to_owned(),
            ..Default::default()
        })
        .await?;
    processes.start_runner(&server.url, &runner_key.key, workspace.id())?;
    println!("  runner     takes jobs for the agent `local`");
    let services: Vec<String> = workload
        .services
        .iter()
        .map(|it| format!("{} on {}", it.name, it.address))
        .collect();
    println!("  services   {}\n", services.join(", "));

    let started = Instant::now();
    let mut progress = Progress::new(workspace.clone(), started);
    match args.story {
        Story::Promotion => {
            promotion(args, &server, &workspace, &mut progress, &workload).await?;
        }
        Story::Rollback => {
            let services = &workload.services;
            rollback::tell(&workspace, &mut progress, services, args.within).await?;
        }
    }
    println!(
        "All went as it should, in {:.0} s.",
        started.elapsed().as_secs_f64()
    );
    next_steps(&server, args);
    if args.keep {
        finished.store(true, Ordering::Relaxed);
        // Until told to stop, which ends this wait from outside.
        std::future::pending::<()>().await;
    }
    Ok(Answer::Yes)
}

/// A good version goes to production, and a bad one is stopped.
async fn promotion(
    args: &Args,
    server: &processes::Server,
    workspace: &Workspace,
    progress: &mut Progress,
    workload: &workload::Workload,
) -> Result<()> {
    let production = workload.address("production");
    good_version(args, server, workspace, progress).await?;
    workload::expect_served(production, GOOD).await?;
    println!("\n{GOOD} is verified in production: http://{production} answers with it.");
    bad_version(workspace, progress).await?;
    workload::expect_served(production, GOOD).await?;
    println!("\nProduction still answers with {GOOD}.");
    Ok(())
}

async fn create(workspace: &Workspace, tag: &str) -> Result<()> {
    let deployments = workspace.deployments().all().await?;
    let deployment = deployments.first().context("the deployment is gone")?;
    let version = CreateVersion {
        tag: tag.to_owned(),
        status: "ready".to_owned(),
        ..Default::default()
    };
    workspace
        .create_version(&deployment.deployment.id, &version)
        .await?;
    Ok(())
}

async fn good_version(
    args: &Args,
    server: &processes::Server,
    workspace: &Workspace,
    progress: &mut Progress,
) -> Result<()> {
    progress.headline(&format!("CI creates {GOOD}"));
    create(workspace, GOOD).await?;
    wait(progress, GOOD, "Staging", "succeeded").await?;
    wait_for_approval(progress).await?;
    approve(args, server, workspace, progress).await?;
    wait(progress, GOOD, "Production", "succeeded").await
}

async fn bad_version(workspace: &Workspace, progress: &mut Progress) -> Result<()> {
    println!();
    progress.headline(&format!("CI creates {BAD}, whose health check fails"));
    create(workspace, BAD).await?;
    wait(progress, BAD, "Staging", "failed").await?;
    let why = workspace
        .why(&stagegate_api::WhyQuery {
            deployment: "api".to_owned(),
            environment: "Production".to_owned(),
            version: Some(BAD.to_owned()),
            ..Default::default()
        })
        .await?;
    println!("\nWhy is {BAD} not in production?");
    println!("  {}", why.summary);
    for gate in &why.gates {
        let mark = if gate.allowed { '✓' } else { '✗' };
        println!(
            "  {mark} {:<24} {:<28} {}",
            gate.kind, gate.policy_name, gate.message
        );
        if !gate.allowed && !gate.opens.is_empty() {
            println!("      opens when {}", gate.opens);
        }
    }
    let production = progress.promotion(BAD, "Production").await?;
    let started = production
        .as_ref()
        .is_some_and(|it| it.targets.running + it.targets.succeeded + it.targets.failed > 0);
    let shut = why
        .gates
        .iter()
        .any(|gate| gate.kind == "environmentProgression" && !gate.allowed);
    if started || !shut {
        bail!("{BAD} should have been kept out of production by the environmentProgression gate");
    }
    Ok(())
}

/// Waits until a promotion has come to its end, telling what happens; any other end than `expected` is an error.
async fn wait(progress: &mut Progress, tag: &str, environment: &str, expected: &str) -> Result<()> {
    let ended = until(progress, |promotions| {
        find(promotions, tag, environment)
            .filter(|it| !it.is_open())
            .map(|it| (it.status.clone(), it.reason.clone()))
    });
    let (status, reason) = ended
        .await
        .with_context(|| format!("{tag} did not come to an end in {environment}"))?;
    if status != expected {
        bail!(
            "{tag} should have {expected} in {environment} but it {status}: {}",
            reason.unwrap_or_default()
        );
    }
    Ok(())
}

async fn wait_for_approval(progress: &mut Progress) -> Result<()> {
    until(progress, |promotions| {
        let promotion = find(promotions, GOOD, "Production")?;
        let shut: Vec<_> = promotion
            .gates
            .iter()
            .filter(|gate| !gate.allowed)
            .collect();
        (shut.len() == 1 && shut[0].kind == "anyApproval").then_some(())
    })
    .await
    .context("production did not come to wait for its approval alone")
}

fn find<'p>(promotions: &'p [Promotion], tag: &str, environment: &str) -> Option<&'p Promotion> {
    promotions
        .iter()
        .find(|it| it.version.tag == tag && it.environment.name == environment)
}

async fn until<T>(progress: &mut Progress, found: impl Fn(&[Promotion]) -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + STEP_DEADLINE;
    loop {
        let promotions = progress.look().await?;
        if let Some(found) = found(&promotions) {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("nothing came of it within {} s", STEP_DEADLINE.as_secs());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Has production approved: by itself, by a key in this terminal, or by somebody in another one.
async fn approve(
    args: &Args,
    server: &processes::Server,
    workspace: &Workspace,
    progress: &mut Progress,
) -> Result<()> {
    if !args.auto_approve {
        println!("\n  {GOOD} waits for an approval for Production. Approve it");
        println!("    here:                 press Enter");
        println!(
            "    in another terminal:  STAGEGATE_URL={} STAGEGATE_API_KEY={} \\",
            server.url, server.key
        );
        println!(
            "                          stagegate approve {GOOD} --deployment api --environment production"
        );
        println!("    in the browser:       {}\n", server.url);
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut listening = std::io::stdin().is_terminal();
        loop {
            tokio::select! {
                line = lines.next_line(), if listening => match line? {
                    Some(_) => break,
                    None => listening = false,
                },
                () = tokio::time::sleep(LOOK_INTERVAL) => {
                    let promotions = progress.look().await?;
                    let waits = find(&promotions, GOOD, "Production").is_some_and(|it| it.status == "waiting");
                    if !waits {
                        return Ok(());
                    }
                }
            }
        }
    }
    progress.headline("a person approves it for Production");
    let environment = workspace.environment_by_name("Production").await?;
    let versions = progress
        .promotion(GOOD, "Production")
        .await?
        .context("the promotion is gone")?;
    let vote = CastVotes {
        environment_ids: vec![environment.environment.id],
        status: "approved".to_owned(),
        reason: Some("it looks good in staging".to_owned()),
    };
    workspace.vote(&versions.version.id, &vote).await?;
    Ok(())
}

fn next_steps(server: &processes::Server, args: &Args) {
    let bad = match args.story {
        Story::Promotion => BAD,
        Story::Rollback => "v2",
    };
    println!("\nWhat to try next:");
    if !args.keep {
        println!("  stagegate demo --keep                the same, and stay up to look around");
        if args.story == Story::Promotion {
            println!(
                "  stagegate demo --story rollback      a version that turns bad in production"
            );
        }
        println!("  stagegate serve --data ./data        a server of your own");
        let folder = args.story.documents().folder();
        println!("  stagegate apply -f {folder:<18} its environments and policies");
        return;
    }
    println!(
        "  open {} in a browser and sign in with the API key",
        server.url
    );
    println!(
        "  export STAGEGATE_URL={} STAGEGATE_API_KEY={}",
        server.url, server.key
    );
    println!("  stagegate status");
    println!("  stagegate why production --deployment api --version {bad}");
    match args.story {
        Story::Promotion => {
            println!(
                "  stagegate version create --deployment api --tag v1.2.5 --metadata hotfix=true"
            );
        }
        Story::Rollback => {
            println!("  stagegate releases api --environment production");
            println!("  stagegate quarantine list");
        }
    }
    println!("  stagegate audit verify");
    println!("\nIt runs until Ctrl-C.");
}
