//! Work that nobody waits for: it takes what processor time the rest leaves.

/// By how much it gives way ("nice"): beside a thread that serves it gets about a tenth of a processor.
#[cfg(target_os = "linux")]
const GIVES_WAY_BY: i32 = 10;

/// Has the thread that calls this, and those that it starts from then on, give way to all others. Where a system has no
/// priorities of single threads, or refuses, everything stays as it is.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, now + GIVES_WAY_BY);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_those_it_starts_give_way_and_no_other_does() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let expected = (before + GIVES_WAY_BY).min(19);
        let beside = std::thread::spawn(move || {
            give_way();
            let started = std::thread::spawn(nice).join().unwrap();
            (nice(), started)
        });
        assert_eq!(beside.join().unwrap(), (expected, expected));
        assert_eq!(nice(), before);
    }
}
