//! Finding the few steps of a failing run that matter.

use crate::plan::Step;

/// Leaves out steps as long as the run still fails, with at most `tries` runs.
pub fn shrink(steps: &[Step], tries: usize, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut left = tries;
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < steps.len() {
            if left == 0 {
                return steps;
            }
            left -= 1;
            let end = (start + size).min(steps.len());
            let mut fewer = steps.clone();
            let gone: i64 = fewer.drain(start..end).map(|step| step.after_millis).sum();
            // What follows stays where it was in time.
            if let Some(next) = fewer.get_mut(start) {
                next.after_millis += gone;
            }
            if fails(&fewer) {
                steps = fewer;
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Act;

    #[test]
    fn only_what_matters_is_left() {
        let steps: Vec<Step> = (0..40)
            .map(|roll| Step {
                after_millis: 1,
                act: Act::Vote,
                roll,
            })
            .collect();
        let fails = |steps: &[Step]| {
            let has = |roll| steps.iter().any(|step| step.roll == roll);
            has(7) && has(31)
        };
        let left = shrink(&steps, 1000, fails);
        let rolls: Vec<u64> = left.iter().map(|step| step.roll).collect();
        assert_eq!(rolls, [7, 31]);
        let time: i64 = left.iter().map(|step| step.after_millis).sum();
        assert_eq!(time, 32, "the last one happens when it did");
    }
}
