//! The definition of the seam (`lease::store::Store`): one suite, run against every store there is.
//!
//! Each case gets two views of one bucket, `a` and `b`: of NATS two connections, at R3 through different servers; of
//! the embedded store the same one twice. Cases run at the same time, each under keys of its own, as many users of
//! one bucket do. Where a case is true of one store and not of another, the seam is wrong or a store is.

mod batch_bounds;
mod batch_events;
mod batch_guards;
mod batch_ids;
mod batch_kit;
mod batch_races;
mod batches;
mod cas;
mod chronicles;
mod events;
mod ids;
mod kit;
mod reads;
mod scans;
mod ttl;

use std::sync::Arc;

use kit::{Case, cases};
use lease::System;
use lease::store::{MemoryStore, NatsOptions, NatsStore, Store};
use support::{Cluster, Options, Release};

/// The cases but for batches. One that is missing here is dead code, and the compiler says so.
fn suite() -> Vec<(&'static str, Case)> {
    cases![
        cas::creates_where_nothing_is,
        cas::conflict_names_the_current_revision,
        cas::update_moves_on_and_the_old_revision_is_void,
        cas::marker_counts_with_its_revision,
        cas::one_of_a_race_wins,
        cas::revisions_rise_across_keys,
        cas::bad_keys_are_refused,
        ids::repeat_changes_nothing,
        ids::repeat_after_an_overwrite_changes_nothing,
        ids::repeat_after_expiry_is_a_duplicate,
        ids::failed_cas_does_not_use_the_id_up,
        ids::sent_many_times_at_once_it_is_applied_once,
        ttl::value_expires,
        ttl::marker_expires,
        ttl::update_without_ttl_stays,
        ttl::update_restarts_the_ttl,
        ttl::expiry_makes_no_event,
        reads::absent_is_none,
        reads::entry_tells_what_was_written,
        reads::marker_gives_its_note_back,
        reads::empty_value_is_no_marker,
        reads::revision_is_read_until_overwritten,
        reads::values_up_to_8_kib_of_any_bytes,
        reads::keys_of_every_allowed_character,
        reads::life_is_stable_and_covers_ttls,
        reads::the_store_answers,
        reads::the_time_is_that_of_its_entries,
        scans::last_is_the_highest_revision_that_matches,
        scans::first_is_the_lowest_revision_that_matches,
        scans::last_may_be_a_marker,
        scans::scan_is_in_order_and_shows_markers,
        scans::scan_starts_where_told,
        scans::pages_are_complete,
        scans::a_key_rewritten_during_a_scan_is_not_missed,
        scans::filters_match_token_by_token,
        chronicles::a_key_without_a_past_has_no_lines,
        chronicles::lines_are_kept_in_their_order,
        chronicles::the_last_64_are_kept,
        chronicles::impossible_lines_are_refused,
        events::literal_follow_sees_puts_and_deletes,
        events::wildcard_follow_sees_what_matches,
        events::followers_do_not_disturb_each_other,
        events::only_applied_writes_make_events,
        events::events_come_in_order,
        events::a_full_buffer_drops_the_newest_and_goes_on,
        events::notes_reach_their_process_only,
    ]
}

/// The cases about batches: servers changed most in these, so the oldest release is put to them as well.
fn batches() -> Vec<(&'static str, Case)> {
    cases![
        batches::all_are_applied_in_their_order,
        batches::a_batch_of_one_is_a_batch,
        batches::one_failing_condition_voids_all,
        batches::a_failed_batch_does_not_use_its_id_up,
        batches::the_first_condition_that_fails_is_told,
        batches::a_marker_is_not_nothing,
        batches::what_has_expired_is_void,
        batches::revisions_rise_across_batches_and_writes,
        batch_guards::a_guard_lets_pass_what_it_should,
        batch_guards::a_guard_keeps_out_what_it_should,
        batch_guards::a_guarded_write_overwrites_whatever_is_there,
        batch_guards::a_key_written_twice_is_compared_and_guarded,
        batch_ids::a_repeat_is_a_duplicate_whatever_became_of_it,
        batch_ids::given_up_and_repeated_it_is_applied_once,
        batch_ids::another_batch_is_no_repeat,
        batch_ids::sent_many_times_at_once_a_batch_is_applied_once,
        batch_bounds::too_long_and_empty_are_refused,
        batch_bounds::bad_keys_and_impossible_conditions_are_refused,
        batch_bounds::a_body_that_is_too_large_is_refused_by_number,
        batch_events::each_write_is_told_in_order,
        batch_events::only_applied_batches_make_events,
        batch_events::filters_of_every_form_are_followed,
    ]
}

/// The cases with many or long batches. By themselves: a server alone, on a slow disk, takes up to 25 ms for a batch, and
/// nothing else meanwhile.
fn loads() -> Vec<(&'static str, Case)> {
    cases![
        batch_races::of_two_that_overlap_one_wins,
        batch_races::a_single_write_comes_before_or_after,
        batch_races::a_guard_and_its_change_exclude_each_other,
        batch_bounds::long_ones_are_applied,
        batch_bounds::large_bodies_are_applied,
        batch_bounds::many_at_once_get_through,
        batch_events::a_full_buffer_of_a_filter_drops_the_newest_and_goes_on,
    ]
}

/// One after the other, since what is measured by its TTL cannot wait behind a load.
async fn run_all(
    suites: impl IntoIterator<Item = Vec<(&'static str, Case)>>,
    a: Arc<dyn Store>,
    b: Arc<dyn Store>,
) {
    for suite in suites {
        kit::run(suite, a.clone(), b.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    let store = MemoryStore::new(Arc::new(System));
    run_all([suite(), batches(), loads()], store.clone(), store).await;
}

/// The other order of looking at a write's id and at its revision: see [`ids`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_with_revisions_first() {
    let store = MemoryStore::new(Arc::new(System));
    store.revisions_first(true);
    run_all([suite(), batches(), loads()], store.clone(), store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_single() {
    let cluster = Cluster::single().await;
    run_all([suite(), batches(), loads()], open(&cluster, 0).await, open(&cluster, 0).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_cluster() {
    let cluster = Cluster::three().await;
    run_all([suite(), batches(), loads()], open(&cluster, 0).await, open(&cluster, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_on_the_oldest_single() {
    let cluster = Cluster::start(1, oldest()).await;
    run_all([batches(), loads()], open(&cluster, 0).await, open(&cluster, 0).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_on_the_oldest_cluster() {
    let cluster = Cluster::start(3, oldest()).await;
    run_all([batches(), loads()], open(&cluster, 0).await, open(&cluster, 1).await).await;
}

fn oldest() -> Options {
    Options { release: Release::Exactly(support::binary::OLDEST), ..Options::default() }
}

/// Opens the bucket through one of the servers.
async fn open(cluster: &Cluster, server: usize) -> Arc<dyn Store> {
    let store = NatsStore::open(&cluster.url_of(server), NatsOptions::default(), Arc::new(System)).await;
    Arc::new(store.unwrap_or_else(|error| panic!("cannot open the bucket: {error}")))
}
