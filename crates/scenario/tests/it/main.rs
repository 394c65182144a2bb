//! The shipped scenarios, and what people see when one does not hold.

mod format;
mod golden;
mod outputs;
mod shipped;
mod wrong;

/// What is compared with a file beside the tests; with `STAGEGATE_UPDATE=1` the file is written instead.
fn compare(file: &str, got: &str) {
    let path = std::path::Path::new("tests/it").join(file);
    if std::env::var_os("STAGEGATE_UPDATE").is_some() {
        std::fs::write(&path, got).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == got,
        "{file} differs; if it should, set STAGEGATE_UPDATE=1 and read the difference.\n{got}"
    );
}
