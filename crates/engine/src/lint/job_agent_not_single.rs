//! A deployment for which not exactly one job agent fits.

use super::sight::{Sight, listed};
use super::{Found, Lint, Object, Severity};
use crate::expressions::JobAgentView;
use stagegate_expressions::{Roots, View};

pub(super) const LINT: Lint = Lint {
    code: "job_agent_not_single",
    severity: Severity::Error,
    title: "Not exactly one job agent fits a deployment",
    why: "a job is given to the one agent that its deployment selects; with none or several, every job fails",
    mend: "name one agent under `jobAgent`, or narrow `jobAgentSelector`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    let agents = sight.state.agents();
    for deployment in sight.state.deployments().values() {
        let Some(Ok(program)) = sight.engine.compiled.agent_selector(deployment.id) else {
            continue;
        };
        let fits = agents.values().filter(|agent| {
            let view = JobAgentView(agent);
            let roots = Roots::new().with("jobAgent", View::Object(&view));
            program.eval(&roots).unwrap_or(false)
        });
        let fitting: Vec<&str> = fits.map(|agent| &*agent.name).collect();
        let message = match &fitting[..] {
            [_] => continue,
            [] => "no job agent fits".to_owned(),
            many => format!("{} fit, and one must", listed(many.iter().copied())),
        };
        let severity = match fitting.is_empty() {
            true => sight.at_present(Severity::Error),
            false => Severity::Error,
        };
        let object = Object::deployment(deployment);
        found.add_as(severity, object, "jobAgentSelector", message);
    }
}
