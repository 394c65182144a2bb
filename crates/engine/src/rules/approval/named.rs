//! Whom a spec names, for those who write and show policies: the log knows persons by their ids alone.

use stagegate_model::Json;

/// Visits every approver that the spec of a rule names, with its place in the spec (`stages[0].approvers[1]`). Rules
/// of other kinds name nobody; what is no approver is passed over, as the check on write tells it.
pub fn visit_approvers(kind: &str, spec: &mut Json, visit: &mut dyn FnMut(&str, &mut String)) {
    if kind != super::KIND.kind {
        return;
    }
    let stages = spec.get_mut("stages").and_then(Json::as_array_mut);
    for (stage_index, stage) in stages.into_iter().flatten().enumerate() {
        for field in ["approvers", "escalateTo"] {
            let approvers = stage.get_mut(field).and_then(Json::as_array_mut);
            for (index, approver) in approvers.into_iter().flatten().enumerate() {
                if let Json::String(text) = approver {
                    visit(&format!("stages[{stage_index}].{field}[{index}]"), text);
                }
            }
        }
    }
}
