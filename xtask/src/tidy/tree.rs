//! The files a check may look at: what is committed, or would be.

use anyhow::{Context, Result, bail};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders that are never part of the repository, for trees that git does not know.
const OUTSIDE: &[&str] = &[".git", "target"];

/// A repository's files.
pub struct Tree {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Tree {
    /// Lists the files of the repository at `root`: tracked ones and new ones that git does not
    /// ignore; where there is no git repository, every file.
    pub fn read(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            bail!("`{}` is not a folder", root.display());
        }
        let mut files = match listed_by_git(root) {
            Some(files) => files,
            None => {
                let mut files = Vec::new();
                walk(root, Path::new(""), &mut files)?;
                files
            }
        };
        leave_out_caches(&mut files);
        files.sort();
        files.dedup();
        Ok(Self {
            root: root.to_path_buf(),
            files,
        })
    }

    /// The repository's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every file, from the root, in order of name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The Rust files under one of `folders`.
    pub fn rust_files<'a>(&'a self, folders: &'a [&str]) -> impl Iterator<Item = &'a Path> {
        self.files().filter(|file| {
            file.extension().is_some_and(|extension| extension == "rs")
                && folders.iter().any(|folder| file.starts_with(folder))
        })
    }

    /// The text of a file named from the root, if there is such a file; bytes that are not UTF-8 are
    /// replaced, so that a binary file can be looked at too.
    pub fn text(&self, file: &Path) -> Option<String> {
        let bytes = std::fs::read(self.root.join(file)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Leaves out folders that their maker marked as a cache, as cargo does with a target directory,
/// whatever it is called.
fn leave_out_caches(files: &mut Vec<PathBuf>) {
    let caches: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.ends_with("CACHEDIR.TAG"))
        .filter_map(|tag| tag.parent().map(Path::to_path_buf))
        .collect();
    files.retain(|file| !caches.iter().any(|cache| file.starts_with(cache)));
}

/// `path` without `.` and `..`; `None` when it leads out of the root.
pub fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}

/// `None` when git is absent or `root` is not the top of a repository.
fn listed_by_git(root: &Path) -> Option<Vec<PathBuf>> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // Set inside git hooks, where they would point at another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        let output = command
            .arg("-C")
            .arg(root)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then_some(output.stdout)
    };
    let up = git(&["rev-parse", "--show-cdup"])?;
    if !up.trim_ascii().is_empty() {
        return None;
    }
    let listed = git(&[
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])?;
    let files = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        // A file deleted but not yet committed is still listed.
        .filter(|file| root.join(file).is_file())
        .collect();
    Some(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let absolute = root.join(folder);
    let shown = || format!("`{}` cannot be listed", absolute.display());
    for entry in std::fs::read_dir(&absolute).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let name = entry.file_name();
        let path = folder.join(&name);
        let kind = entry.file_type().with_context(shown)?;
        if kind.is_file() {
            files.push(path);
        } else if kind.is_dir() && !OUTSIDE.iter().any(|outside| name == *outside) {
            walk(root, &path, files)?;
        }
    }
    Ok(())
}
