//! Deliveries to notifiers.

use crate::fixture::{id, workspace};
use stagegate_model::{NotifierId, Timestamp};
use stagegate_store::{Delivery, DeliveryFault, DeliveryRecord, SideWrite, Store};

fn notifier(number: u64) -> NotifierId {
    id(11, number).into()
}

fn delivery(to: u64, seq: u64, due: i64) -> Delivery {
    Delivery {
        workspace: workspace(1),
        notifier: notifier(to),
        seq,
        subject: id(12, seq),
        attempts: 0,
        due: Timestamp(due),
        since: Timestamp(1),
    }
}

pub fn what_is_due_first_comes_first(store: &dyn Store) {
    let (late, early, other) = (delivery(1, 3, 20), delivery(1, 4, 10), delivery(2, 3, 5));
    let writes = [&late, &early, &other].map(|it| SideWrite::PutDelivery(it.clone()));
    store.write_side(&writes).unwrap();
    let of = |to, limit| store.deliveries(workspace(1), notifier(to), limit).unwrap();
    assert_eq!(of(1, 9), [early.clone(), late.clone()]);
    assert_eq!(of(1, 1), std::slice::from_ref(&early));
    assert_eq!(of(2, 9), [other]);
    assert_eq!(of(3, 9), []);
    assert_eq!(store.deliveries(workspace(2), notifier(1), 9).unwrap(), []);
    assert_eq!(store.delivery_count(workspace(1), notifier(1)).unwrap(), 2);

    // Tried once, it comes later; the same message is never there twice.
    let tried = Delivery {
        attempts: 1,
        due: Timestamp(30),
        ..early
    };
    store
        .write_side(&[SideWrite::PutDelivery(tried.clone())])
        .unwrap();
    assert_eq!(of(1, 9), [late.clone(), tried]);

    let end = SideWrite::EndDelivery {
        workspace: workspace(1),
        notifier: notifier(1),
        seq: late.seq,
        subject: late.subject,
    };
    store.write_side(std::slice::from_ref(&end)).unwrap();
    store.write_side(&[end]).unwrap();
    assert_eq!(store.delivery_count(workspace(1), notifier(1)).unwrap(), 1);
    assert_eq!(store.delivery_count(workspace(1), notifier(2)).unwrap(), 1);
}

pub fn the_cursor_moves_with_what_was_found(store: &dyn Store) {
    assert_eq!(store.notify_cursor(workspace(1)).unwrap(), None);
    let cursor = |seq| SideWrite::MoveNotifyCursor {
        workspace: workspace(1),
        seq,
    };
    store
        .write_side(&[SideWrite::PutDelivery(delivery(1, 3, 1)), cursor(3)])
        .unwrap();
    store.write_side(&[cursor(7)]).unwrap();
    assert_eq!(store.notify_cursor(workspace(1)).unwrap(), Some(7));
    assert_eq!(store.notify_cursor(workspace(2)).unwrap(), None);
}

pub fn a_notifier_is_recorded_and_forgotten(store: &dyn Store) {
    let read = || store.delivery_record(workspace(1), notifier(1)).unwrap();
    assert_eq!(read(), None);
    let mut record = DeliveryRecord::new(workspace(1), notifier(1));
    record.delivered = 2;
    record.delivered_at = Some(Timestamp(8));
    record.error = Some(DeliveryFault {
        at: Timestamp(9),
        code: "timeout".into(),
        message: "no answer in time".into(),
        seq: 5,
    });
    let put = |record: &DeliveryRecord| {
        let write = SideWrite::PutDeliveryRecord(record.clone());
        store.write_side(&[write]).unwrap();
    };
    put(&record);
    assert_eq!(read(), Some(record.clone()));
    record.error = None;
    record.given_up = 1;
    record.last_given_up = Some(DeliveryFault {
        at: Timestamp(10),
        code: "refused".into(),
        message: "no".into(),
        seq: 6,
    });
    put(&record);
    assert_eq!(read(), Some(record));

    store
        .write_side(&[SideWrite::PutDelivery(delivery(1, 3, 1))])
        .unwrap();
    store
        .write_side(&[SideWrite::ForgetNotifier {
            workspace: workspace(1),
            notifier: notifier(1),
        }])
        .unwrap();
    assert_eq!(read(), None);
    assert_eq!(store.delivery_count(workspace(1), notifier(1)).unwrap(), 0);
}
