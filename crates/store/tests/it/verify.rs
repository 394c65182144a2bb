//! `verify_chain` on sound logs; damaged ones are each backend's own.

use crate::fixture::{Log, workspace};
use stagegate_store::{Store, StoreError, VerifyReport, verify_chain};

pub fn a_sound_log_verifies(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut other = Log::new(2);
    for _ in 0..20 {
        log.append(store, 30);
        other.append(store, 1);
    }
    let mut seen = 0;
    let report = verify_chain(store, log.workspace, None, |row| {
        seen += 1;
        assert_eq!(row.seq, seen);
        Ok(())
    });
    assert_eq!(
        report.unwrap(),
        VerifyReport {
            entries: 600,
            bytes: log.rows.iter().map(|row| row.body.len() as u64).sum(),
            head: log.head,
        }
    );
    assert_eq!(seen, 600);
    let empty = verify_chain(store, workspace(3), None, |_| Ok(())).unwrap();
    assert_eq!((empty.entries, empty.head), (0, None));
}

pub fn goes_on_from_a_known_head(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 10);
    let known = log.rows[6].head();
    let report = verify_chain(store, log.workspace, Some(known), |_| Ok(())).unwrap();
    assert_eq!((report.entries, report.head), (3, log.head));
    let report = verify_chain(store, log.workspace, log.head, |_| Ok(())).unwrap();
    assert_eq!((report.entries, report.head), (0, log.head));
}

pub fn a_known_head_that_is_gone_or_different_is_noticed(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 10);
    let stored = log.clone();
    let gone = log.next("{}").head();
    let mut different = stored.rows[4].head();
    different.hash = [1; 32];
    for (known, expected) in [(gone, 11), (different, 5)] {
        match verify_chain(store, log.workspace, Some(known), |_| Ok(())) {
            Err(StoreError::Corrupt { seq, .. }) => assert_eq!(seq, Some(expected)),
            unexpected => panic!("{unexpected:?}"),
        }
    }
}

pub fn the_visitor_can_object(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 10);
    let result = verify_chain(store, log.workspace, None, |row| match row.seq {
        7 => Err("its time is not the one in its body".into()),
        _ => Ok(()),
    });
    match result {
        Err(StoreError::Corrupt {
            seq, entry, what, ..
        }) => {
            assert_eq!((seq, entry), (Some(7), Some(log.rows[6].id)));
            assert_eq!(what, "its time is not the one in its body");
        }
        unexpected => panic!("{unexpected:?}"),
    }
}
