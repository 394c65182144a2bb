//! Who the runner is: a name that stays the same over restarts, so that its claims stay its own.

use crate::journal::write_whole;
use std::fs;
use std::io;
use std::path::Path;

const FILE: &str = "runner-id";
const LENGTH_MAX: usize = 100;

/// The runner's name: the one asked for, else the one it had, else a new one.
///
/// `may_rename` says whether another name than before may be taken; with claims open under the old one it
/// may not.
pub(crate) fn name(data_dir: &Path, wanted: Option<&str>, may_rename: bool) -> io::Result<String> {
    let path = data_dir.join(FILE);
    let before = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()).filter(|name| !name.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let wanted = wanted.map(str::trim).filter(|name| !name.is_empty());
    let name = match (before, wanted) {
        (Some(before), None) => return Ok(before),
        (Some(before), Some(wanted)) if before == wanted => return Ok(before),
        (Some(before), Some(wanted)) if !may_rename => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "`{}` holds unfinished jobs of the runner `{before}`; start it under that name before it can be called `{wanted}`",
                    data_dir.display()
                ),
            ));
        }
        (_, Some(wanted)) => wanted.to_owned(),
        (None, None) => invented(),
    };
    let usable = name.len() <= LENGTH_MAX && name.chars().all(|c| !c.is_control());
    if !usable {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a runner's name has at most {LENGTH_MAX} bytes and no control characters"),
        ));
    }
    write_whole(&path, name.as_bytes())?;
    Ok(name)
}

/// The host's name, for people, and something random, for uniqueness.
fn invented() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(40)
        .collect();
    let random = uuid::Uuid::now_v7().simple().to_string();
    let host = if host.is_empty() { "runner" } else { &host };
    // The last digits are random; the first ones are the time.
    format!("{host}-{}", &random[24..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = name(dir.path(), None, true).unwrap();
        assert!(!first.is_empty());
        assert_eq!(name(dir.path(), None, true).unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(name(other.path(), None, true).unwrap(), first);
    }

    #[test]
    fn another_name_is_taken_only_when_nothing_is_open() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(name(dir.path(), Some("eu-1"), true).unwrap(), "eu-1");
        assert_eq!(name(dir.path(), Some("eu-1"), false).unwrap(), "eu-1");
        let error = name(dir.path(), Some("eu-2"), false).unwrap_err();
        assert!(error.to_string().contains("`eu-1`"), "{error}");
        assert_eq!(name(dir.path(), None, false).unwrap(), "eu-1");
        assert_eq!(name(dir.path(), Some("eu-2"), true).unwrap(), "eu-2");
        assert!(name(dir.path(), Some("a\nb"), true).is_err());
    }
}
