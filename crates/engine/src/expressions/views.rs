//! The entities as expressions see them; fields as in `schema.rs`.

use crate::state::PackedResource;
use stagegate_expressions::{Object, View};
use stagegate_model::{Deployment, Environment, JobAgent, PromotionId, ReleaseId, System, Version};

macro_rules! views {
    ($($(#[$doc:meta])* $view:ident($entity:ty) { $($key:literal => |$it:ident| $value:expr),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $view<'e>(pub &'e $entity);

        impl Object for $view<'_> {
            fn get(&self, key: &str) -> Option<View<'_>> {
                match key {
                    $($key => { let $it = self.0; Some($value) })*
                    _ => None,
                }
            }

            fn keys(&self) -> Vec<String> {
                let mut keys = vec![$($key.to_owned()),*];
                keys.sort();
                keys
            }
        }
    )*};
}

views! {
    /// `resource`.
    ResourceView(PackedResource) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "name" => |it| View::Str(it.name()),
        "identifier" => |it| View::Str(it.identifier()),
        "kind" => |it| View::Str(it.kind()),
        "version" => |it| View::Str(it.version()),
        "metadata" => |it| View::Object(it.metadata_object()),
        "config" => |it| View::JsonText(it.config_text()),
        "createdAt" => |it| View::TimestampMillis(it.created_at.0),
    }
    /// `environment`.
    EnvironmentView(Environment) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "name" => |it| View::Str(&it.name),
        "description" => |it| View::Str(&it.description),
        "metadata" => |it| View::Object(&it.metadata),
        "createdAt" => |it| View::TimestampMillis(it.created_at.0),
    }
    /// `deployment`.
    DeploymentView(Deployment) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "name" => |it| View::Str(&it.name),
        "slug" => |it| View::Str(&it.slug),
        "description" => |it| View::Str(&it.description),
        "metadata" => |it| View::Object(&it.metadata),
    }
    /// `system`.
    SystemView(System) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "name" => |it| View::Str(&it.name),
        "slug" => |it| View::Str(&it.slug),
        "description" => |it| View::Str(&it.description),
        "metadata" => |it| View::Object(&it.metadata),
    }
    /// `version`.
    VersionView(Version) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "tag" => |it| View::Str(&it.tag),
        "name" => |it| View::Str(&it.name),
        "status" => |it| View::Str(it.status.as_str()),
        "message" => |it| View::Str(&it.message),
        "metadata" => |it| View::Object(&it.metadata),
        "config" => |it| View::Json(&it.config),
        "createdAt" => |it| View::TimestampMillis(it.created_at.0),
    }
    /// `jobAgent`.
    JobAgentView(JobAgent) {
        "id" => |it| View::OwnedStr(it.id.to_string()),
        "name" => |it| View::Str(&it.name),
        "type" => |it| View::Str(&it.kind),
        "metadata" => |it| View::Object(&it.metadata),
        "config" => |it| View::Json(&it.config),
    }
}

/// `release`, as far as it is known when its job is created.
#[derive(Clone, Copy)]
pub struct ReleaseView {
    pub id: ReleaseId,
    pub number: u64,
}

impl Object for ReleaseView {
    fn get(&self, key: &str) -> Option<View<'_>> {
        match key {
            "id" => Some(View::OwnedStr(self.id.to_string())),
            "number" => Some(View::UInt(self.number)),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<String> {
        vec!["id".to_owned(), "number".to_owned()]
    }
}

/// `promotion`.
#[derive(Clone, Copy)]
pub(crate) struct PromotionView(pub PromotionId);

impl Object for PromotionView {
    fn get(&self, key: &str) -> Option<View<'_>> {
        (key == "id").then(|| View::OwnedStr(self.0.to_string()))
    }

    fn keys(&self) -> Vec<String> {
        vec!["id".to_owned()]
    }
}
