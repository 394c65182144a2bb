//! The documents that `apply` and `diff` are given.

use crate::failure::Failure;
use anyhow::Result;
use stagegate_api::ApplyFile;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What standard input is called in errors.
const STDIN: &str = "<stdin>";

/// All that is sent at once, in bytes.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How deep folders may be nested.
const DEPTH_MAX: usize = 16;

/// Which files to read.
#[derive(clap::Args, Clone, Debug)]
pub struct Files {
    /// A file, a folder (its `.yaml` and `.yml` files, those of its folders too) or `-` for standard input; may be
    /// given several times
    #[arg(long = "file", short = 'f', required = true, num_args = 1.., value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
}

impl Files {
    /// These files and folders.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Reads them, folders in the order of their names.
    ///
    /// # Errors
    /// When one cannot be read, a folder holds none, or they are too large.
    pub fn read(&self) -> Result<Vec<ApplyFile>> {
        let mut files = Vec::new();
        let mut bytes = 0;
        let mut add = |name: String, text: Vec<u8>| -> Result<()> {
            let text = String::from_utf8(text).map_err(|_| {
                Failure::usage("yaml_syntax", format!("`{name}` is not text in UTF-8"))
            })?;
            bytes += text.len();
            if bytes > BYTES_MAX {
                return Err(Failure::usage(
                    "too_large",
                    format!("the documents have more than {BYTES_MAX} bytes together"),
                )
                .hint("apply them in several steps")
                .into());
            }
            files.push(ApplyFile { name, text });
            Ok(())
        };
        let mut seen_stdin = false;
        for path in &self.paths {
            if path == Path::new("-") {
                if std::mem::replace(&mut seen_stdin, true) {
                    return Err(Failure::usage(
                        "conflicting_fields",
                        "standard input (`-`) can be read only once",
                    )
                    .into());
                }
                let mut text = Vec::new();
                std::io::stdin()
                    .take(BYTES_MAX as u64 + 1)
                    .read_to_end(&mut text)?;
                add(STDIN.to_owned(), text)?;
                continue;
            }
            let mut found = Vec::new();
            collect(path, 0, &mut found)?;
            if found.is_empty() {
                return Err(Failure::usage(
                    "empty_file",
                    format!(
                        "the folder `{}` holds no `.yaml` or `.yml` file",
                        path.display()
                    ),
                )
                .into());
            }
            for file in found {
                let text = fs::read(&file).map_err(|error| unreadable(&file, &error))?;
                add(file.display().to_string(), text)?;
            }
        }
        Ok(files)
    }
}

/// Adds the file, or the folder's documents.
fn collect(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth == DEPTH_MAX {
        let path = path.display();
        return Err(Failure::usage("too_large", format!("`{path}` is nested too deeply")).into());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|error| unreadable(path, &error))?;
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let document = entry
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !hidden && (entry.is_dir() || document) {
            collect(&entry, depth + 1, found)?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        "invalid_value",
        format!("`{}` cannot be read: {error}", path.display()),
    )
}

/// A line of a file that was applied, from 1, when it is still there.
#[must_use]
pub fn line_of(file: &str, line: usize) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().nth(line.checked_sub(1)?).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&Path]) -> Result<Vec<ApplyFile>> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        Files { paths }.read()
    }

    #[test]
    fn folders_are_read_in_order_and_only_their_documents() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("b/.git")).unwrap();
        for file in [
            "c.yml",
            "a.yaml",
            "b/x.yaml",
            "b/.git/h.yaml",
            "notes.md",
            ".s.yaml",
        ] {
            fs::write(root.join(file), file).unwrap();
        }
        let texts: Vec<_> = read(&[root])
            .unwrap()
            .into_iter()
            .map(|file| file.text)
            .collect();
        assert_eq!(texts, ["a.yaml", "b/x.yaml", "c.yml"]);
        assert_eq!(
            line_of(root.join("a.yaml").to_str().unwrap(), 1),
            Some("a.yaml".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| read(&[path]).unwrap_err().to_string();
        assert!(refused(dir.path()).contains("holds no `.yaml`"));
        assert!(refused(&dir.path().join("none.yaml")).contains("none.yaml` cannot be read"));
        let binary = dir.path().join("b.yaml");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(refused(&binary).contains("not text in UTF-8"));
    }
}
