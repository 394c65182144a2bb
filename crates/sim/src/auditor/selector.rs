//! The selectors that the workload writes, evaluated natively: conjunctions of comparisons, with alternatives in
//! parentheses. What is missing makes a comparison false.

use stagegate_model::{Deployment, Environment, Metadata, Resource, System, Version};

/// What a selector is asked about.
#[derive(Clone, Copy, Default)]
pub struct Subject<'a> {
    pub environment: Option<&'a Environment>,
    pub deployment: Option<&'a Deployment>,
    pub system: Option<&'a System>,
    pub resource: Option<&'a Resource>,
    pub version: Option<&'a Version>,
}

/// Whether the selector holds. One that is not of the known family panics: the workload and this must agree.
pub fn holds(selector: &str, subject: Subject<'_>) -> bool {
    selector.split(" && ").all(|conjunct| {
        let inner = conjunct
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .unwrap_or(conjunct);
        inner.split(" || ").any(|atom| atom_holds(atom, subject))
    })
}

fn atom_holds(atom: &str, subject: Subject<'_>) -> bool {
    match atom {
        "true" => return true,
        "false" => return false,
        _ => {}
    }
    if let Some((path, value)) = atom.split_once(" == ") {
        return lookup(path, subject).is_some_and(|found| found == unquoted(value));
    }
    if let Some((path, value)) = atom.split_once(" != ") {
        return lookup(path, subject).is_some_and(|found| found != unquoted(value));
    }
    if let Some((path, rest)) = atom.split_once(".startsWith(") {
        let value = rest.trim_end_matches(')');
        return lookup(path, subject).is_some_and(|found| found.starts_with(unquoted(value)));
    }
    panic!("the auditor does not know `{atom}`")
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

fn lookup<'a>(path: &str, subject: Subject<'a>) -> Option<&'a str> {
    if let Some((root, key)) = path.split_once(".metadata[") {
        let key = unquoted(key.trim_end_matches(']'));
        let metadata: &'a Metadata = match root {
            "environment" => &subject.environment?.metadata,
            "deployment" => &subject.deployment?.metadata,
            "resource" => &subject.resource?.metadata,
            "version" => &subject.version?.metadata,
            _ => panic!("the auditor does not know `{path}`"),
        };
        return metadata.get(key).map(String::as_str);
    }
    Some(match path {
        "environment.name" => &subject.environment?.name,
        "deployment.slug" => &subject.deployment?.slug,
        "system.name" => &subject.system?.name,
        "resource.kind" => &subject.resource?.kind,
        "resource.name" => &subject.resource?.name,
        "version.tag" => &subject.version?.tag,
        _ => panic!("the auditor does not know `{path}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conjunctions_alternatives_and_what_is_missing() {
        let resource = Resource {
            id: uuid::Uuid::nil().into(),
            name: "a".to_owned(),
            identifier: "a".to_owned(),
            kind: "Host".to_owned(),
            version: "v1".to_owned(),
            metadata: Metadata::from([("zone".to_owned(), "eu".to_owned())]),
            config: serde_json::json!({}),
            created_at: stagegate_model::Timestamp(0),
            updated_at: None,
        };
        let subject = Subject {
            resource: Some(&resource),
            ..Subject::default()
        };
        for (selector, expected) in [
            ("true", true),
            ("resource.metadata[\"zone\"] == \"eu\"", true),
            ("resource.metadata[\"nope\"] == \"eu\"", false),
            ("resource.metadata[\"nope\"] != \"eu\"", false),
            ("resource.kind != \"Host\" && true", false),
            ("resource.kind.startsWith(\"Ho\")", true),
            (
                "(resource.kind == \"X\" || resource.name == \"a\") && true",
                true,
            ),
            ("(resource.kind == \"X\" || version.tag == \"a\")", false),
        ] {
            assert_eq!(holds(selector, subject), expected, "{selector}");
        }
    }
}
