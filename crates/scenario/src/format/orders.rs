//! What people do beside the ordinary course: redeploy, roll back, hold, quarantine, cancel, pause, break the glass.

use super::members::{BREAK_GLASS, PROMOTION_ACT, ROLLBACK, TARGETS};
use crate::reader::{Fields, Reader};
use crate::yaml::{Node, Value};

/// What a person does.
#[derive(Debug)]
pub(crate) struct OrderAct {
    pub order: Order,
    pub deployment: Option<String>,
    /// `None`: Stagegate itself.
    pub by: Option<String>,
    pub reason: String,
}

#[derive(Debug)]
pub(crate) enum Order {
    Redeploy(TargetChoice),
    Rollback {
        targets: TargetChoice,
        to: Option<Earlier>,
    },
    ReleaseHold(TargetChoice),
    BreakGlass {
        version: String,
        targets: TargetChoice,
    },
    /// `clearQuarantine`, `cancel`, `reopen`, `pause` or `resume`.
    Promotion {
        act: &'static str,
        version: String,
        environment: String,
    },
}

/// Which targets are meant; all of the deployment, when nothing is said.
#[derive(Debug)]
pub(crate) struct TargetChoice {
    pub environment: Option<String>,
    pub resources: Vec<String>,
}

/// To which release a target goes back.
#[derive(Debug)]
pub(crate) enum Earlier {
    Number(u64),
    /// The latest one of the version with this tag.
    Version(String),
}

/// Reads the act `name`; `None` when there is no such act, `Some(None)` when it is wrong.
pub(super) fn order(reader: &mut Reader, name: &str, node: &Node) -> Option<Option<OrderAct>> {
    let read = match name {
        "redeploy" => reader
            .object(node, &TARGETS)
            .map(|fields| (fields, Order::Redeploy(choice(reader, fields)))),
        "releaseHold" => reader
            .object(node, &TARGETS)
            .map(|fields| (fields, Order::ReleaseHold(choice(reader, fields)))),
        "rollback" => reader.object(node, &ROLLBACK).map(|fields| {
            let to = fields.get("to").and_then(|node| earlier(reader, node));
            let targets = choice(reader, fields);
            (fields, Order::Rollback { targets, to })
        }),
        "breakGlass" => reader.object(node, &BREAK_GLASS).map(|fields| {
            let version = reader.required(fields, "version", "v1");
            let targets = choice(reader, fields);
            (fields, Order::BreakGlass { version, targets })
        }),
        _ => {
            let act = ["clearQuarantine", "cancel", "reopen", "pause", "resume"]
                .into_iter()
                .find(|act| *act == name)?;
            reader.object(node, &PROMOTION_ACT).map(|fields| {
                let order = Order::Promotion {
                    act,
                    version: reader.required(fields, "version", "v1"),
                    environment: reader.required(fields, "environment", "Production"),
                };
                (fields, order)
            })
        }
    };
    Some(read.map(|(fields, order)| OrderAct {
        order,
        deployment: reader.text_of(fields, "deployment"),
        by: reader.text_of(fields, "by"),
        reason: reader.text_of(fields, "reason").unwrap_or_default(),
    }))
}

fn choice(reader: &mut Reader, fields: Fields<'_>) -> TargetChoice {
    TargetChoice {
        environment: reader.text_of(fields, "environment"),
        resources: reader.texts_of(fields, "resource"),
    }
}

/// A number is a release's; a text, also one of digits in quotes, is a tag.
fn earlier(reader: &mut Reader, node: &Node) -> Option<Earlier> {
    let plain = matches!(&node.value, Value::Scalar(scalar) if scalar.plain);
    match node.to_json().as_u64().filter(|_| plain) {
        Some(number) => Some(Earlier::Number(number)),
        None => reader.text(node).map(Earlier::Version),
    }
}
