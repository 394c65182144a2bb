//! The conformance suite: what every backend must do, run on each; then what only SQLite has.
//!
//! A conformance test is a function of `&dyn Store` in one of the first modules, listed in
//! `conformance!`. A new backend is one more line at the bottom of this file.

mod archive;
mod delivery;
mod fixture;
mod leases;
mod log;
mod rests;
mod side;
mod snapshots;
mod sqlite;
mod verify;

/// Runs every conformance test on a fresh store made by `$make`, which also returns what must outlive it.
macro_rules! conformance {
    ($backend:ident, $make:expr, [$($noun:ident: $($test:ident),+ $(,)?);+ $(;)?]) => {
        mod $backend {$(
            mod $noun {$(
                #[test]
                fn $test() {
                    let (store, _keep) = $make;
                    crate::$noun::$test(&store);
                }
            )+}
        )+}
    };
}

macro_rules! backend {
    ($backend:ident, $make:expr) => {
        conformance!($backend, $make, [
            log:
                appends_and_reads_back,
                bodies_of_every_size_survive,
                a_row_that_does_not_follow_is_a_conflict,
                a_batch_is_all_or_nothing,
                a_batch_may_span_workspaces,
                of_two_racing_writers_one_wins_each_seq,
                reads_in_pages,
                large_rows_end_a_page_early,
                what_cannot_be_stored_is_refused,
                finds_what_touches_an_entity,
                an_empty_batch_is_nothing;
            leases:
                one_holder_at_a_time,
                the_epoch_fences_appends,
                a_fenced_entry_fails_its_whole_batch,
                renewing_keeps_the_epoch,
                a_released_lease_fences_its_holder,
                a_leased_workspace_is_not_yet_a_log;
            archive:
                is_written_with_its_entry,
                is_replaced_by_key,
                lists_a_target_from_the_highest_number,
                lists_a_parent_by_id,
                lists_the_most_recent_through_equal_seqs;
            snapshots:
                the_latest_is_found,
                two_are_kept,
                one_of_another_schema_is_passed_over,
                one_that_is_not_of_this_log_is_refused,
                large_ones_survive;
            rests:
                the_last_word_counts,
                heads_are_listed_with_their_logs;
            side:
                keys_are_found_by_hash_and_revoked,
                a_key_never_changes_its_workspace,
                two_keys_cannot_share_a_hash,
                a_person_can_be_erased,
                sessions_end,
                a_revoked_key_ends_its_sessions,
                rides_along_with_an_append;
            delivery:
                what_is_due_first_comes_first,
                the_cursor_moves_with_what_was_found,
                a_notifier_is_recorded_and_forgotten;
            verify:
                a_sound_log_verifies,
                goes_on_from_a_known_head,
                a_known_head_that_is_gone_or_different_is_noticed,
                the_visitor_can_object;
        ]);
    };
}

backend!(on_sqlite, crate::fixture::sqlite());
backend!(on_sqlite_in_memory, crate::fixture::sqlite_in_memory());
