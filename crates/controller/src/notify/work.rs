//! One notifier's deliveries, one after the other.

use super::sight::{Sight, Trouble};
use super::{SLEEP_MAX, TRY_AGAIN, blocking, compose};
use crate::Controller;
use crate::residence::Ending;
use crate::workspace::Workspace;
use stagegate_integrations::notify::{DeliveryError, Message};
use stagegate_model::{Entry, Notifier, NotifierId, Timestamp};
use stagegate_store::{Delivery, DeliveryFault, DeliveryRecord, SideWrite};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is to be done next.
enum Next {
    /// The notifier is no more.
    Gone,
    /// Nothing waits.
    Nothing,
    /// Not before then.
    Later(Timestamp),
    /// To be told; without a message there is nothing left to tell, since the notifier was changed.
    Now(Box<(Delivery, Arc<Notifier>, Option<Message>)>),
}

/// Delivers until the notifier is gone, its workspace leaves memory or the process stops.
pub(super) async fn run(
    controller: Controller,
    workspace: Arc<Workspace>,
    id: NotifierId,
    wake: Arc<Notify>,
    mut ending: Ending,
) {
    let mut failures = 0;
    let mut rests_until: Option<Instant> = None;
    while !ending.is_now() {
        let now = controller.now();
        let next = next(&controller, &workspace, id, now).await;
        let pause = match next {
            Err(Trouble) => TRY_AGAIN,
            Ok(Next::Gone) => return,
            Ok(Next::Nothing) => SLEEP_MAX,
            Ok(Next::Later(at)) => {
                let millis = u64::try_from(at.millis_since(now)).unwrap_or(0);
                Duration::from_millis(millis).min(SLEEP_MAX)
            }
            Ok(Next::Now(due)) => match rest_before(&due.0, rests_until) {
                Some(until) => until - Instant::now(),
                None => {
                    let (delivery, notifier, message) = *due;
                    let outcome = attempt(&controller, &notifier, message, now).await;
                    failures = match &outcome {
                        Err(error) if !error.is_final => failures + 1,
                        _ => 0,
                    };
                    let rest = controller.pace().rest_after(failures);
                    rests_until = Some(Instant::now() + rest);
                    settle(&controller, delivery, outcome).await;
                    continue;
                }
            },
        };
        tokio::select! {
            () = ending.wait() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Until when the notifier rests, if it does and the delivery has to wait for that. What is urgent is tried once all
/// the same: the messages that failed may be to blame.
fn rest_before(delivery: &Delivery, rests_until: Option<Instant>) -> Option<Instant> {
    let urgent = delivery.attempts == 0 && delivery.due < delivery.since;
    rests_until.filter(|until| !urgent && *until > Instant::now())
}

async fn next(
    controller: &Controller,
    workspace: &Arc<Workspace>,
    id: NotifierId,
    now: Timestamp,
) -> Result<Next, Trouble> {
    let (workspace, base_url) = (Arc::clone(workspace), controller.base_url());
    let store = Arc::clone(controller.store());
    blocking(controller, move || {
        let sight = Sight::new(&workspace, &*store, base_url);
        let Some(notifier) = sight.notifier(id)? else {
            return Ok(Next::Gone);
        };
        let waiting = store.deliveries(workspace.id, id, 1)?;
        let Some(delivery) = waiting.into_iter().next() else {
            return Ok(Next::Nothing);
        };
        if delivery.due > now {
            return Ok(Next::Later(delivery.due));
        }
        let message = message(&sight, &notifier, &delivery)?;
        Ok(Next::Now(Box::new((delivery, notifier, message))))
    })
    .await
}

/// What the delivery's entry says of its subject, as the notifier wants it now.
fn message(
    sight: &Sight<'_>,
    notifier: &Notifier,
    delivery: &Delivery,
) -> Result<Option<Message>, Trouble> {
    let Some(row) = sight.store.row(sight.id(), delivery.seq)? else {
        return Ok(None);
    };
    let Ok(entry) = Entry::from_bytes(&row.body) else {
        return Ok(None);
    };
    let news = sight.news(&entry)?;
    let Some(news) = news.iter().find(|it| it.subject.id() == delivery.subject) else {
        return Ok(None);
    };
    let Some(about) = sight.about(news, entry.time)? else {
        return Ok(None);
    };
    let base_url = sight.base_url.as_deref();
    let (seq, time) = (entry.seq, entry.time);
    Ok(compose::message(
        news, &about, notifier, seq, time, base_url,
    ))
}

async fn attempt(
    controller: &Controller,
    notifier: &Notifier,
    message: Option<Message>,
    now: Timestamp,
) -> Result<bool, DeliveryError> {
    let Some(message) = message else {
        return Ok(false);
    };
    let (kind, config) = (&notifier.kind, &notifier.config);
    let delivered = controller
        .deliverer()
        .deliver(kind, config, message, now.0 / 1000);
    delivered.await.map(|()| true)
}

/// Writes what came of an attempt, as often as it takes: what arrived must not be sent again.
async fn settle(controller: &Controller, delivery: Delivery, outcome: Result<bool, DeliveryError>) {
    let now = controller.now();
    let pace = controller.pace();
    let delivery = Delivery {
        attempts: delivery.attempts.saturating_add(1),
        ..delivery
    };
    loop {
        let (delivery, outcome) = (delivery.clone(), outcome.clone());
        let store = Arc::clone(controller.store());
        let written = blocking(controller, move || {
            let record = store.delivery_record(delivery.workspace, delivery.notifier)?;
            let record = record
                .unwrap_or_else(|| DeliveryRecord::new(delivery.workspace, delivery.notifier));
            let writes = writes(delivery, record, outcome, now, pace);
            Ok(store.write_side(&writes)?)
        });
        if written.await.is_ok() || *controller.stopping().borrow() {
            return;
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

fn writes(
    delivery: Delivery,
    mut record: DeliveryRecord,
    outcome: Result<bool, DeliveryError>,
    now: Timestamp,
    pace: super::Pace,
) -> Vec<SideWrite> {
    let end = SideWrite::EndDelivery {
        workspace: delivery.workspace,
        notifier: delivery.notifier,
        seq: delivery.seq,
        subject: delivery.subject,
    };
    let error = match outcome {
        Ok(false) => return vec![end],
        Ok(true) => {
            record.delivered += 1;
            record.delivered_at = Some(now);
            return vec![end, SideWrite::PutDeliveryRecord(record)];
        }
        Err(error) => error,
    };
    let fault = DeliveryFault {
        at: now,
        code: error.code.to_owned(),
        message: error.message,
        seq: delivery.seq,
    };
    record.error = Some(fault.clone());
    let waited = u64::try_from(now.millis_since(delivery.since)).unwrap_or(0);
    if error.is_final || Duration::from_millis(waited) >= pace.give_up_after {
        record.given_up += 1;
        record.last_given_up = Some(fault);
        return vec![end, SideWrite::PutDeliveryRecord(record)];
    }
    let pause = pace.pause(&delivery, error.retry_after).as_millis();
    let due = now.plus_millis(i64::try_from(pause).unwrap_or(i64::MAX));
    vec![
        SideWrite::PutDelivery(Delivery { due, ..delivery }),
        SideWrite::PutDeliveryRecord(record),
    ]
}
