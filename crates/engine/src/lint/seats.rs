//! Whether there are enough people for all stages of an approval, as one person counts once.

use stagegate_model::UserId;
use std::collections::{BTreeMap, BTreeSet};

/// A stage's approvals and who may give them; `None`: nobody knows how many.
pub(super) type Stage = (u32, Option<BTreeSet<UserId>>);

/// The first stage for which too few people are left, however they are shared out among it and the stages before.
pub(super) fn short(stages: &[Stage]) -> Option<usize> {
    let wanted: usize = stages.iter().map(|(minimum, _)| *minimum as usize).sum();
    // Who sits where: a person, and the stage.
    let mut seated: BTreeMap<UserId, usize> = BTreeMap::new();
    for (index, (minimum, people)) in stages.iter().enumerate() {
        // With as many people as all stages together need, somebody is always left.
        let Some(people) = people.as_ref().filter(|people| people.len() < wanted) else {
            continue;
        };
        if people.len() < *minimum as usize {
            return Some(index);
        }
        for _ in 0..*minimum {
            let mut asked = BTreeSet::new();
            if !seat(index, stages, &mut seated, &mut asked) {
                return Some(index);
            }
        }
    }
    None
}

/// Seats one more person in a stage, moving others to other stages where that is needed.
fn seat(
    stage: usize,
    stages: &[Stage],
    seated: &mut BTreeMap<UserId, usize>,
    asked: &mut BTreeSet<UserId>,
) -> bool {
    let Some((_, Some(people))) = stages.get(stage) else {
        return true;
    };
    for person in people {
        let here = seated.get(person) == Some(&stage);
        if here || !asked.insert(*person) {
            continue;
        }
        let free = match seated.get(person).copied() {
            None => true,
            Some(elsewhere) => seat(elsewhere, stages, seated, asked),
        };
        if free {
            seated.insert(*person, stage);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(minimum: u32, people: &[u128]) -> Stage {
        let people = people.iter().map(|id| UserId(uuid::Uuid::from_u128(*id)));
        (minimum, Some(people.collect()))
    }

    #[test]
    fn one_person_sits_once() {
        assert_eq!(short(&[stage(1, &[1])]), None);
        assert_eq!(short(&[stage(2, &[1])]), Some(0));
        assert_eq!(short(&[stage(1, &[])]), Some(0));
        assert_eq!(short(&[stage(1, &[1]), stage(1, &[1])]), Some(1));
        assert_eq!(short(&[stage(1, &[1]), stage(1, &[1, 2])]), None);
        // The first stage has to take the other one.
        assert_eq!(short(&[stage(1, &[1, 2]), stage(1, &[1])]), None);
        assert_eq!(
            short(&[stage(1, &[1, 2]), stage(1, &[1, 2]), stage(1, &[1, 2])]),
            Some(2)
        );
        assert_eq!(short(&[stage(2, &[1, 2, 3]), stage(1, &[1, 2])]), None);
        assert_eq!(short(&[stage(2, &[1, 2, 3]), stage(2, &[1, 2])]), Some(1));
        assert_eq!(short(&[(4_000_000_000, None), stage(1, &[1])]), None);
        assert_eq!(short(&[stage(u32::MAX, &[1, 2])]), Some(0));
    }

    #[test]
    fn a_chain_of_moves_is_found() {
        let stages = [
            stage(1, &[1, 2]),
            stage(1, &[2, 3]),
            stage(1, &[3, 4]),
            stage(1, &[1]),
        ];
        assert_eq!(short(&stages), None);
        let stages = [
            stage(1, &[1, 2]),
            stage(1, &[2, 3]),
            stage(1, &[1, 3]),
            stage(1, &[1]),
        ];
        assert_eq!(short(&stages), Some(3));
    }
}
