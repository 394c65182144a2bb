//! Restarts: the state folded anew from the log must be the state there was, and decide nothing new.

use super::{Trouble, World, wrong};
use crate::format::Restart;
use stagegate_engine::{Engine, State};
use stagegate_model::Entry;

impl World {
    pub(super) fn restart(&mut self, how: Restart) -> Result<(), Trouble> {
        let count = self.entries.len();
        // What a process would find: bytes.
        let mut entries = Vec::with_capacity(count);
        for entry in &self.entries {
            match Entry::from_bytes(&entry.to_bytes()) {
                Ok(read) => entries.push(read),
                Err(error) => {
                    return wrong(format!("entry {} cannot be read back: {error}", entry.seq));
                }
            }
        }
        let engine = match how {
            Restart::Log => {
                self.tell("Stagegate restarts from its log".to_owned());
                self.refolded(&entries, None)?
            }
            Restart::SnapshotAt(at) => {
                let index = match at {
                    at if at < 0 => count.checked_sub(usize::try_from(-at - 1).unwrap_or(count)),
                    at => usize::try_from(at).ok(),
                };
                let Some(index) = index.filter(|index| (1..=count).contains(index)) else {
                    return wrong(format!("there is no entry {at}; the log has {count}"));
                };
                self.tell(format!(
                    "Stagegate restarts from a snapshot after entry {index} of {count}"
                ));
                self.refolded(&entries, Some(index))?
            }
            Restart::Snapshots => {
                self.tell("Stagegate restarts from each snapshot there could be".to_owned());
                let mut engine = self.refolded(&entries, None)?;
                for index in 1..=count {
                    engine = self.refolded(&entries, Some(index))?;
                }
                engine
            }
        };
        self.engine = engine;
        let context = self.context(stagegate_model::Actor::System);
        let facts = self.engine.settle(context);
        match facts.first() {
            None => Ok(()),
            Some(first) => wrong(format!(
                "the restart alone decided {} new facts; the first: {}",
                facts.len(),
                serde_json::to_string(first).unwrap_or_default()
            )),
        }
    }

    /// An engine from the log, or from a snapshot after so many entries; its state is the present one.
    fn refolded(&self, entries: &[Entry], snapshot_at: Option<usize>) -> Result<Engine, Trouble> {
        let (from, how) = match snapshot_at {
            None => (0, "from the log".to_owned()),
            Some(at) => (at, format!("from a snapshot after entry {at}")),
        };
        let mut engine = Engine::default();
        if snapshot_at.is_some() {
            for entry in entries.iter().take(from) {
                engine.replay(entry);
            }
            let bytes = bytes(engine.state())?;
            match rmp_serde::from_slice::<State>(&bytes) {
                Ok(state) => engine = Engine::new(state),
                Err(error) => return wrong(format!("a snapshot cannot be read back: {error}")),
            }
        }
        for entry in entries.iter().skip(from) {
            engine.replay(entry);
        }
        engine.resume();
        let there = self.engine.state().settled_form();
        let anew = engine.state().settled_form();
        if bytes(&there)? == bytes(&anew)? {
            return Ok(engine);
        }
        let (there, anew) = (format!("{there:#?}"), format!("{anew:#?}"));
        let difference = there
            .lines()
            .zip(anew.lines())
            .find(|(there, anew)| there != anew)
            .map_or_else(String::new, |(there, anew)| {
                format!("; it was `{}` and is `{}`", there.trim(), anew.trim())
            });
        wrong(format!("the state folded anew {how} differs{difference}"))
    }
}

fn bytes(state: &State) -> Result<Vec<u8>, Trouble> {
    rmp_serde::to_vec_named(state)
        .map_err(|error| Trouble::Wrong(format!("the state cannot be written: {error}")))
}
