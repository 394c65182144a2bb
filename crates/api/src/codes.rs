//! Every error code a user can see. Each has a page in `docs/errors/`; a new one is one line here, one page
//! there and one row in `docs/errors.md`.

/// Code, HTTP status, title. Grouped as in `docs/errors.md`.
#[rustfmt::skip]
pub const CODES: &[(&str, u16, &str)] = &[
    // Requests
    ("unauthorized", 401, "No valid API key was sent"),
    ("forbidden", 403, "The key may not do this"),
    ("not_found", 404, "There is nothing at this path"),
    ("method_not_allowed", 405, "This path does not know the method"),
    ("invalid_body", 400, "The request's body cannot be read"),
    ("invalid_query", 400, "A query parameter cannot be read"),
    ("invalid_scenario", 400, "A file is no scenario"),
    ("invalid_id", 400, "An id is not well-formed"),
    ("payload_too_large", 413, "The request's body is too large"),
    ("unsupported_media_type", 415, "The body's media type is not understood"),
    ("overloaded", 503, "The server has too much to do"),
    ("internal", 500, "Something went wrong inside Stagegate"),
    // Things that do not exist
    ("workspace_not_found", 404, "There is no such workspace"),
    ("system_not_found", 404, "There is no such system"),
    ("environment_not_found", 404, "There is no such environment"),
    ("deployment_not_found", 404, "There is no such deployment"),
    ("version_not_found", 404, "There is no such version"),
    ("policy_not_found", 404, "There is no such policy"),
    ("resource_not_found", 404, "There is no such resource"),
    ("job_agent_not_found", 404, "There is no such job agent"),
    ("variable_not_found", 404, "There is no such variable"),
    ("variable_value_not_found", 404, "There is no such value of a variable"),
    ("variable_set_not_found", 404, "There is no such variable set"),
    ("relationship_rule_not_found", 404, "There is no such relationship rule"),
    ("notifier_not_found", 404, "There is no such notifier"),
    ("job_not_found", 404, "There is no such job"),
    ("release_not_found", 404, "There is no such release"),
    ("release_target_not_found", 404, "There is no such release target"),
    ("promotion_not_found", 404, "There is no such promotion"),
    ("verification_not_found", 404, "There is no such verification"),
    ("user_not_found", 404, "There is no such user"),
    ("key_not_found", 404, "There is no such key"),
    ("group_not_found", 404, "There is no such group"),
    ("skip_not_found", 404, "There is no such skip"),
    ("freeze_not_found", 404, "There is no such freeze"),
    ("rule_not_found", 404, "There is no such rule"),
    ("dependency_not_found", 404, "The version has no such dependency"),
    // Documents
    ("yaml_syntax", 400, "The file is not valid YAML"),
    ("unknown_type", 400, "The document's type is not known"),
    ("missing_field", 400, "A required field is missing"),
    ("unknown_field", 400, "A field is not known here"),
    ("wrong_type", 400, "A value has the wrong type"),
    ("invalid_value", 400, "A value is outside what is allowed"),
    ("duplicate_document", 400, "Two documents describe the same thing"),
    ("duplicate_key", 400, "A key appears twice in one map"),
    ("unknown_system", 400, "No system has this name"),
    ("ambiguous_system", 400, "It is not clear which system is meant"),
    ("unknown_policy", 400, "No policy has this name"),
    ("unknown_environment", 400, "No environment has this name"),
    ("unknown_job_agent", 400, "No job agent has this name or type"),
    ("unknown_user", 400, "No user has this name"),
    ("unknown_group", 400, "No group has this name"),
    ("invalid_time", 400, "The time cannot be used"),
    ("too_large", 400, "A text or a document is too large"),
    ("invalid_name", 400, "The name cannot be used"),
    ("conflicting_fields", 400, "Two fields say the same in two ways"),
    ("duplicate_rule_id", 400, "Two rules have the same id"),
    ("empty_file", 400, "The file holds no document"),
    ("invalid_selector", 400, "The selector cannot be used"),
    ("invalid_slug", 400, "The slug cannot be used"),
    ("not_a_mapping", 400, "The document is no map of fields"),
    ("too_many_errors", 400, "There are more errors than are listed"),
    ("invalid_config", 400, "A configuration does not fit what it is for"),
    ("unknown_notifier", 400, "No notifier is of this type"),
    ("unknown_metric_provider", 400, "No metric provider is of this type"),
    // Expressions and templates
    ("cel_syntax", 400, "The expression is not valid CEL"),
    ("cel_too_long", 400, "The expression is too long"),
    ("cel_too_deep", 400, "The expression is nested too deeply"),
    ("cel_too_large", 400, "The expression has too many parts"),
    ("cel_unknown_field", 400, "The expression uses a field that does not exist"),
    ("cel_unknown_root", 400, "The expression uses a name that is not available here"),
    ("cel_unknown_function", 400, "The expression calls an unknown function"),
    ("cel_bad_regex", 400, "A regular expression in the expression is not valid"),
    ("cel_comprehension_depth", 400, "Loops in the expression are nested too deeply"),
    ("template_syntax", 400, "The template is not valid"),
    ("template_unresolvable", 409, "The template's data is missing"),
    ("cel_arguments", 400, "A function or operator has the wrong number or kind of operands"),
    ("cel_bad_time", 400, "A time or duration in the expression is not valid"),
    ("cel_cost", 400, "Evaluating the expression takes too many steps"),
    ("cel_division_by_zero", 400, "The expression divides by zero"),
    ("cel_index", 400, "The expression asks for an element that a list does not have"),
    ("cel_missing", 400, "The expression needs a value that does not exist"),
    ("cel_not_bool", 400, "The expression gives neither true nor false"),
    ("cel_overflow", 400, "A number in the expression becomes too large"),
    ("cel_resources", 503, "The expression could not be read at the moment"),
    ("cel_type", 400, "The expression combines values that do not go together"),
    ("cel_unsupported", 400, "The expression uses something that is not available here"),
    ("template_unknown_root", 400, "The template uses a name that is not available here"),
    ("template_unknown_field", 400, "The template uses a field that does not exist"),
    ("template_unknown_filter", 400, "The template uses an unknown filter, test or function"),
    ("template_unresolved", 400, "The template names a value that does not exist"),
    ("template_null", 400, "The template's value is null"),
    ("template_value", 400, "The template's value cannot be used"),
    ("template_data", 400, "The data for the template cannot be read"),
    ("template_cost", 400, "The template takes too many steps"),
    ("template_too_long", 400, "The template is too long"),
    ("template_too_large", 400, "An expression in the template is too large"),
    ("template_output_too_long", 400, "The template's result is too long"),
    ("template_unsupported", 400, "The template uses something that is not available"),
    // Variables
    ("invalid_variable", 400, "A variable or its value is not well-formed"),
    ("unknown_relationship", 400, "No relationship rule has this reference"),
    ("variable_unresolved", 409, "A variable has no value"),
    // Policies
    ("unknown_rule", 400, "No rule is of this kind"),
    ("invalid_rule", 400, "The rule's settings contradict each other"),
    ("dependency_cycle", 400, "A version would depend on itself, directly or through others"),
    ("replaces_cycle", 400, "Policies replace each other in a circle"),
    ("not_eligible", 403, "Your vote does not count here"),
    ("own_version", 403, "Nobody approves a version of their own"),
    // Conflicts
    ("name_taken", 409, "Something else has this name already"),
    ("version_exists", 409, "The deployment has a version with this tag already"),
    ("version_frozen", 409, "The version's content can no longer change"),
    ("created_in_future", 400, "The version's time of creation lies in the future"),
    ("invalid_status", 400, "This status cannot be set"),
    ("job_claimed", 409, "Another runner has the job"),
    ("lease_lost", 409, "The runner no longer holds the job"),
    ("job_ended", 409, "The job has ended"),
    ("verification_running", 409, "The verification is still running"),
    ("verification_ended", 409, "The verification has its verdict"),
    ("in_use", 409, "Something still depends on it"),
    ("no_vote", 409, "There is no vote to withdraw"),
    ("nothing_deployed", 409, "Nothing was ever deployed to the target"),
    ("no_earlier_release", 409, "There is no earlier release to go back to"),
    ("release_unusable", 409, "The release cannot be gone back to"),
    ("already_there", 409, "The target has it already"),
    ("rollback_pending", 409, "The target is about to be rolled back"),
    ("version_quarantined", 409, "The version is quarantined in the environment"),
    ("promotion_ended", 409, "The promotion has ended"),
    ("stage_not_open", 409, "The stage is not asked yet"),
    ("already_counted", 409, "One person counts once"),
    ("group_in_use", 409, "A policy names the group"),
    ("too_many", 409, "There are too many of them"),
    ("not_a_policy", 409, "Only policies can be others in a simulation"),
    ("simulation_running", 409, "Another simulation is under way"),
    // Job agents
    ("no_job_agent", 409, "Not exactly one job agent fits the deployment"),
    // Storage and start
    ("storage_full", 503, "The disk is full"),
    ("storage_locked", 503, "The database is in use by another process"),
    ("storage_io", 503, "The disk reported an error"),
    ("storage_newer", 503, "The database was written by a newer Stagegate"),
    ("log_corrupt", 503, "The workspace's log is not what was written"),
    ("port_taken", 503, "The port is in use"),
    ("unreachable", 503, "No server answers at this address"),
    ("storage_unknown", 503, "It is not known whether the last write is durable"),
    ("storage_conflict", 503, "The log has moved on"),
    ("storage_fenced", 503, "Another server has taken over the workspace"),
    ("storage_invalid", 400, "This can never be stored"),
];

/// The status and title of a code.
#[must_use]
pub fn find(code: &str) -> Option<(u16, &'static str)> {
    CODES
        .iter()
        .find(|(known, _, _)| *known == code)
        .map(|&(_, status, title)| (status, title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let index = std::fs::read_to_string(docs.join("errors.md")).unwrap();
        let mut codes = BTreeSet::new();
        for &(code, status, title) in CODES {
            assert!(codes.insert(code.to_owned()), "`{code}` stands twice");
            let page = std::fs::read_to_string(docs.join(format!("errors/{code}.md")))
                .unwrap_or_else(|error| panic!("docs/errors/{code}.md: {error}"));
            assert_eq!(page.lines().next(), Some(&*format!("# {code}")));
            assert!(
                page.contains(&format!("**{title}.** HTTP status {status}.")),
                "docs/errors/{code}.md states another title or status"
            );
            assert!(page.contains("*Where it comes from:*") && page.contains("*How to mend it:*"));
            let row = format!("| [`{code}`](errors/{code}.md) | {status} | {title} |");
            assert!(index.contains(&row), "docs/errors.md lacks {row}");
        }
        for page in std::fs::read_dir(docs.join("errors")).unwrap() {
            let name = page.unwrap().file_name().into_string().unwrap();
            let code = name.trim_end_matches(".md");
            assert!(
                codes.contains(code),
                "docs/errors/{name} has no line in CODES"
            );
        }
    }

    #[test]
    fn codes_are_found() {
        assert_eq!(find("version_exists").map(|(status, _)| status), Some(409));
        assert_eq!(find("nonsense"), None);
    }
}
