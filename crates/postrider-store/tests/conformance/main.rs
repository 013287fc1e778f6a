//! What every store must answer: one list of named cases, run on each of them.
//!
//! A new store joins by one more line in `on_every_store!`'s expansion. Cases know the trait
//! and nothing else; what only SQLite promises stands in `sqlite_only`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod accepting;
mod access;
mod deliveries;
mod event_types;
mod health;
mod listing;
mod model;
mod replays;
mod retention;
mod searching;
mod sqlite_only;
mod verifying;
mod webhooks;
mod world;

use world::World;

macro_rules! on_every_store {
    ($($module:ident: $($case:ident)+;)+) => {
        mod memory {
            $($(#[tokio::test]
            async fn $case() {
                crate::$module::$case(crate::World::in_memory()).await;
            })+)+
        }
        mod sqlite {
            $($(#[tokio::test]
            async fn $case() {
                crate::$module::$case(crate::World::in_sqlite()).await;
            })+)+
        }
    };
}

on_every_store! {
    webhooks:
        an_inserted_webhook_is_listed_as_it_was_given
        inserting_the_same_webhook_again_is_harmless
        inserting_another_webhook_under_a_key_conflicts
        an_update_replaces_the_version_before_it
        an_update_from_another_version_conflicts_and_changes_nothing
        an_update_of_an_unknown_webhook_conflicts
        webhooks_are_listed_in_pages_with_tombstones;
    access:
        a_tenants_name_is_unique
        inserting_the_same_tenant_again_is_harmless
        tenants_are_listed_as_given
        api_keys_are_listed_until_revoked
        a_key_is_revoked_once
        inserting_another_api_key_under_a_key_conflicts
        a_deleted_tenant_leaves_nobody_to_act_for_it
        the_name_of_a_deleted_tenant_is_free
        a_tenant_whose_webhook_was_changed_meanwhile_is_not_deleted;
    event_types:
        an_event_type_is_listed_as_it_was_given
        a_changed_event_type_replaces_the_version_before_it
        an_event_type_begins_at_version_1
        event_types_come_in_pages_by_tenant_and_name
        a_deleted_tenant_takes_its_event_types_along;
    accepting:
        an_accepted_event_is_found_as_it_was_given
        an_event_that_nobody_wants_is_stored
        an_empty_batch_answers_empty
        an_empty_store_answers_empty
        the_same_id_and_content_is_a_repeat_of_the_first
        the_same_id_with_other_content_conflicts_and_stores_nothing
        a_repeat_in_the_same_batch_is_one
        a_conflict_in_the_same_batch_is_one
        the_same_key_again_is_a_repeat
        an_id_belongs_to_its_tenant
        an_id_is_unique_across_buckets
        an_id_that_looks_like_a_key_finds_its_own_event
        an_id_that_we_made_with_the_same_body_is_a_repeat
        an_id_that_we_made_with_another_body_conflicts
        an_id_that_we_made_is_like_any_other_in_another_tenant
        the_key_text_of_an_event_with_a_given_id_can_be_given
        a_given_id_that_we_make_later_still_repeats_its_own_event
        an_event_with_a_given_id_is_not_found_by_its_key_text
        an_event_is_found_by_key_in_whichever_tenant
        one_batch_may_span_buckets
        a_matching_is_stored_with_the_first_event_that_names_it
        a_matching_that_counts_survives;
    deliveries:
        accepted_deliveries_are_due_when_accepted
        due_pages_are_ordered_and_bounded
        due_pages_hold_no_more_bytes_than_asked
        a_due_delivery_greater_than_the_page_comes_alone
        due_skips_what_is_in_hand
        what_is_not_due_yet_is_announced
        due_looks_at_one_webhook_only
        lanes_name_each_webhook_once_with_its_first_due_time
        lanes_come_in_pages
        a_success_ends_a_delivery
        a_failure_moves_its_due_time
        an_outcome_from_an_old_standing_is_refused
        an_outcome_recorded_twice_counts_once
        an_outcome_whose_answer_was_lost_is_done_when_it_comes_again
        an_event_and_its_outcome_can_share_a_batch
        a_retry_moves_every_state_on
        a_retry_of_what_is_not_there_is_none
        a_retry_asked_for_twice_with_one_key_is_one
        a_manual_attempt_that_fails_resumes_the_schedule
        cancelling_takes_no_more_than_its_keys
        cancelling_leaves_what_is_in_flight
        cancelling_again_with_the_same_keys_cancels_nothing_more
        counts_always_add_up;
    health:
        health_is_kept_with_the_outcome_that_it_tells_of
        the_last_health_of_a_batch_counts
        a_counting_begins_anew_and_what_came_before_is_out_of_date
        a_deleted_webhook_leaves_no_health_behind
        healths_come_in_pages
        a_last_success_only_moves_forward_and_changes_nothing_else
        what_is_counted_apart_adds_up
        slots_are_read_by_a_range_of_time
        hours_hold_all_that_was_counted_in_them
        slots_of_many_webhooks_come_by_time_and_webhook
        the_oldest_slots_go_one_time_after_the_other
        a_backlog_is_counted_up_to_a_bound;
    listing:
        events_of_a_tenant_come_newest_first_in_pages
        tenants_see_their_own_events_only
        events_committed_late_are_listed
        deliveries_of_an_event_come_in_pages
        a_delivery_is_known_only_in_its_fan_out
        history_is_told_oldest_first_across_buckets
        history_of_a_webhook_comes_newest_first_in_pages
        history_committed_late_is_listed
        the_newest_key_is_found_wherever_it_is;
    searching:
        events_are_found_by_type_id_and_time
        found_events_come_in_pages_of_every_size
        a_search_looks_at_a_bounded_number
        deliveries_come_newest_event_first_in_pages_of_every_size
        deliveries_are_found_by_what_they_are
        what_went_wrong_is_found_among_what_went_well
        a_found_delivery_tells_its_last_attempt
        what_a_webhook_missed_is_found_on_request;
    replays:
        a_replay_is_found_as_it_was_given
        replays_are_listed_newest_first_by_tenant_and_webhook
        a_step_moves_on_what_is_final_and_leaves_the_rest_alone
        a_step_takes_only_the_states_that_its_replay_names
        a_step_adds_what_its_webhook_missed
        nothing_is_added_for_another_webhook_or_an_unknown_event
        a_step_from_elsewhere_conflicts_and_changes_nothing
        the_last_step_ends_a_replay
        a_cancelled_replay_takes_no_more_steps
        what_was_added_keeps_its_event_and_goes_with_it
        a_kept_event_can_have_deliveries_added
        old_replays_go_once_they_have_ended
        one_delivery_is_cancelled_on_request;
    retention:
        old_buckets_are_dropped_whole
        what_is_pending_keeps_its_event_and_its_explanation
        what_is_pending_keeps_its_id
        a_kept_event_goes_once_nothing_is_pending
        a_finished_delivery_of_a_kept_event_still_stands_as_it_did
        a_kept_event_can_be_retried_and_is_kept_again
        an_id_is_free_again_when_its_event_is_gone
        an_id_that_we_made_is_taken_until_its_event_is_gone
        a_late_event_can_bring_its_bucket_back
        old_tombstones_go_when_nothing_is_pending
        sweeping_an_empty_store_does_nothing;
}
