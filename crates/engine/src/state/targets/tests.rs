//! What is kept in few bytes is what was put in.

use super::*;
use proptest::prelude::*;
use stagegate_model::Block;
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// Ids of which there are few, so that some are the same.
fn few<T: From<Uuid> + Clone + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (1_u128..4).prop_map(id)
}

fn maybe<T: From<Uuid> + Clone + std::fmt::Debug>() -> impl Strategy<Value = Option<T>> {
    proptest::option::of(few())
}

fn instants() -> impl Strategy<Value = Timestamp> {
    let odd = [i64::MIN, -1, 0, (1 << 48) - 1, 1 << 48, i64::MAX];
    prop_oneof![
        6 => 0..Timestamp::MAX.0,
        1 => proptest::sample::select(odd.to_vec()),
    ]
    .prop_map(Timestamp)
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..9, 1 => Just((1 << 24) - 1), 1 => Just(1 << 24), 1 => any::<u64>()]
}

fn orders() -> impl Strategy<Value = Option<VersionOrder>> {
    proptest::option::of((instants(), few()).prop_map(|(at, id)| VersionOrder(at, id)))
}

fn goods() -> impl Strategy<Value = Vec<Good>> {
    let good = (few(), numbers(), few()).prop_map(|(release, number, version)| Good {
        release,
        number,
        version,
    });
    proptest::collection::vec(good, 0..=Target::GOOD_KEPT)
}

fn kepts() -> impl Strategy<Value = Kept> {
    let kinds = vec![StartKind::Forward, StartKind::Rollback, StartKind::Redeploy];
    let ids = (few(), few(), few());
    let flags = (any::<bool>(), any::<bool>(), any::<u64>());
    (
        numbers(),
        ids,
        proptest::sample::select(kinds),
        instants(),
        flags,
    )
        .prop_map(
            |(
                number,
                (version, promotion, job),
                kind,
                ended_at,
                (undone, variables, fingerprint),
            )| {
                Kept {
                    number,
                    version,
                    promotion,
                    job,
                    kind,
                    ended_at,
                    undone,
                    variables,
                    fingerprint,
                }
            },
        )
}

/// Any target at all.
fn any_target() -> impl Strategy<Value = Target> {
    let block = proptest::option::of(few().prop_map(|version| {
        Box::new(Block {
            version,
            code: "code".to_owned(),
            message: "message".to_owned(),
        })
    }));
    let ids = (maybe(), maybe(), maybe(), maybe(), maybe(), maybe());
    let kept = proptest::option::of(kepts().prop_map(Box::new));
    let rest = (orders(), orders(), goods(), kept, block, any::<bool>());
    (instants(), numbers(), ids, rest).prop_map(
        |(joined_at, number, ids, (latest_order, floor, good, kept, block, leaving))| {
            let (latest, current, deployed, before, brought, active) = ids;
            Target {
                joined_at,
                number,
                latest,
                latest_order,
                floor,
                good,
                current,
                kept,
                deployed,
                before,
                brought,
                active,
                block,
                leaving,
            }
        },
    )
}

/// One as most are: at rest, but for what may not fit.
fn resting() -> impl Strategy<Value = Target> {
    (any_target(), kepts(), few()).prop_map(|(any, kept, release)| {
        let mut target = Target {
            latest: Some(release),
            current: Some(release),
            brought: Some(release),
            number: kept.number,
            active: None,
            block: None,
            leaving: false,
            ..any
        };
        target.good.truncate(Target::GOOD_KEPT - 1);
        target.good.push(Good {
            release,
            number: kept.number,
            version: kept.version,
        });
        let kept = Kept {
            undone: false,
            ..kept
        };
        target.kept = Some(Box::new(kept));
        target
    })
}

fn targets() -> impl Strategy<Value = Target> {
    let fresh = (instants(), numbers(), maybe());
    let fresh = fresh.prop_map(|(at, number, before)| Target::new(at, number, before));
    prop_oneof![1 => fresh, 2 => any_target(), 4 => resting()]
}

/// Whether each that is seen of it is what the target says.
fn is_seen(view: TargetView<'_>, target: &Target) {
    assert_eq!(view.joined_at(), target.joined_at);
    assert_eq!(view.number(), target.number);
    assert_eq!(view.latest(), target.latest);
    assert_eq!(view.latest_order(), target.latest_order);
    assert_eq!(view.floor(), target.floor);
    assert!(view.good().eq(target.good.iter().copied()));
    assert!(view.good().rev().eq(target.good.iter().rev().copied()));
    assert_eq!(view.current(), target.current);
    assert_eq!(view.left(), TargetView::from(target).left());
    assert_eq!(view.deployed(), target.deployed);
    assert_eq!(view.before(), target.before);
    assert_eq!(view.brought(), target.brought);
    assert_eq!(view.active(), target.active);
    assert_eq!(view.block(), target.block.as_deref());
    assert_eq!(view.leaving(), target.leaving);
}

fn all(wholes: &[Target]) -> Targets {
    let mut targets = Targets::default();
    for (number, target) in (0..).zip(wholes) {
        targets.insert(id(number), target.clone());
    }
    targets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_target_is_what_was_put_in(wholes in proptest::collection::vec(targets(), 0..6)) {
        let targets = all(&wholes);
        prop_assert_eq!(targets.len(), wholes.len());
        for ((_, view), whole) in targets.iter().zip(&wholes) {
            is_seen(view, whole);
        }
        let bytes = rmp_serde::to_vec_named(&targets).unwrap();
        let read: Targets = rmp_serde::from_slice(&bytes).unwrap();
        prop_assert_eq!(&read, &targets);
        prop_assert_eq!(rmp_serde::to_vec_named(&read).unwrap(), bytes);
        let bytes = rmp_serde::to_vec(&targets).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<Targets>(&bytes).unwrap(), &targets);
        for (number, whole) in (0..).zip(wholes) {
            let mut targets = targets.clone();
            prop_assert_eq!(targets.remove(id(number)), Some(whole));
        }
    }

    #[test]
    fn what_it_was_before_leaves_no_trace(before in targets(), after in targets()) {
        let mut changed = all(std::slice::from_ref(&before));
        let seen = changed.change(
            id(0),
            |view| (view.number(), view.floor()),
            |target| {
                assert_eq!(*target, before);
                target.clone_from(&after);
                7
            },
        );
        let (first, last) = ((before.number, before.floor), (after.number, after.floor));
        prop_assert_eq!(seen, Some((first, 7, last)));
        is_seen(changed.get(&id(0)).unwrap(), &after);
        prop_assert_eq!(changed, all(&[after]));
    }

    #[test]
    fn what_is_read_is_not_trusted(
        wholes in proptest::collection::vec(targets(), 1..4),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = rmp_serde::to_vec_named(&all(&wholes)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Whatever comes of it can be looked at, and written again.
        if let Ok(read) = rmp_serde::from_slice::<Targets>(&bytes) {
            for (_, view) in &read {
                is_seen(view, &all(&[]).whole_of(view));
            }
            rmp_serde::to_vec_named(&read).unwrap();
        }
    }
}

impl Targets {
    fn whole_of(&self, view: TargetView<'_>) -> Target {
        match view.0 {
            Seen::Fresh(it) => it.whole(),
            Seen::Idle(it) => it.whole(),
            Seen::Whole(it) => it.clone(),
        }
    }
}

fn at_rest(number: u64) -> Target {
    let release: ReleaseId = id(u128::from(number) + 100);
    let good = |number, release| Good {
        release,
        number,
        version: id(2),
    };
    Target {
        latest: Some(release),
        current: Some(release),
        brought: Some(release),
        good: vec![good(1, id(50)), good(number, release)],
        kept: Some(Box::new(Kept {
            number,
            version: id(2),
            promotion: id(3),
            job: id(4),
            kind: StartKind::Forward,
            ended_at: Timestamp(9),
            undone: false,
            variables: true,
            fingerprint: 5,
        })),
        ..Target::new(Timestamp(8), number, None)
    }
}

#[test]
fn those_at_rest_share_what_they_have_in_common() {
    assert_eq!(size_of::<(ResourceId, Slot)>(), 88);
    let wholes: Vec<Target> = (2..500).map(at_rest).collect();
    let mut targets = all(&wholes);
    assert_eq!(targets.shapes.values().len(), 1);
    let shared = targets.slots.values().all(|it| matches!(it, Slot::Idle(_)));
    assert!(shared);
    // One that is busy shares nothing, and comes back to the same.
    let at_rest = targets.clone();
    let set = |active| move |target: &mut Target| target.active = active;
    targets.change(id(7), |_| (), set(Some(id(1))));
    assert!(matches!(targets.slots.get(&id(7)), Some(Slot::Whole(_))));
    assert!(targets != at_rest);
    targets.change(id(7), |_| (), set(None));
    assert!(targets == at_rest);
    // Shapes that nobody has are forgotten.
    for number in 0..1_000 {
        let set = move |target: &mut Target| target.before = Some(id(number));
        targets.change(id(7), |_| (), set);
    }
    assert!(targets.shapes.values().len() <= 2 * Shared::<Shape>::FORGOTTEN_AT);
}
