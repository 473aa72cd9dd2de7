"""Every preset is read as its product answers: no preset is without its recorded case.

A preset that is added without them fails here, by the case that it lacks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import pytest

from licenseusage.sources.definition.presets import presets
from tests.sources import (
    test_cloudevents,
    test_gauge_presets,
    test_jetstream,
    test_keycloak,
    test_mediawiki,
    test_opencloud_events,
    test_recorded,
)


class Case(StrEnum):
    """What a preset must be shown to do."""

    CYCLE = "people inside and outside the cycle"
    NEVER = "people who were never active"
    PROGRAMS = "programs"
    DEACTIVATED = "people who were deactivated or deleted"
    PAGES = "several pages"
    LIES = "answers that contradict themselves"


Tests = tuple[Callable[..., object], ...]


@dataclass(frozen=True)
class Recorded:
    """Presets whose products are written down together.

    Attributes:
        presets: Their names.
        cases: The tests that show a case, or why the product has no such one.
    """

    presets: frozenset[str]
    cases: dict[Case, Tests | str]


LISTS = Recorded(
    frozenset(shape.preset for shape in test_recorded.SHAPES),
    {
        Case.CYCLE: (test_recorded.test_those_count_who_were_active_within_the_cycle,),
        Case.NEVER: (
            test_recorded.test_who_was_never_active_or_only_created_does_not_count,
            test_recorded.test_a_list_in_which_nobody_was_ever_active_is_unknown_and_not_zero,
        ),
        Case.PROGRAMS: (test_recorded.test_programs_do_not_count,),
        Case.DEACTIVATED: (test_recorded.test_those_count_who_were_active_within_the_cycle,),
        Case.PAGES: (test_recorded.test_people_on_all_pages_count,),
        Case.LIES: (
            test_recorded.test_a_first_page_that_comes_again_and_again_is_noticed,
            test_recorded.test_a_row_in_anothers_place_leaves_at_least,
            test_recorded.test_a_time_in_the_future_counts_nobody,
            test_recorded.test_who_is_turned_away_gets_a_reason_and_no_number,
        ),
    },
)

NUMBERS = Recorded(
    frozenset(product.preset for product in test_gauge_presets.PRODUCTS),
    {
        Case.CYCLE: (
            test_gauge_presets.test_the_number_of_the_last_30_days_is_read_and_no_other,
            test_gauge_presets.test_in_the_middle_of_a_cycle_it_says_nothing_of_it,
        ),
        Case.NEVER: "a number names nobody",
        Case.PROGRAMS: (test_gauge_presets.test_programs_are_taken_off_whatever_is_proved,),
        Case.DEACTIVATED: "a number names nobody",
        Case.PAGES: "a number is one answer",
        Case.LIES: (
            test_gauge_presets.test_a_product_that_does_not_count_gives_no_number,
            test_gauge_presets.test_a_zero_of_a_product_that_may_have_just_started_is_no_number,
            test_gauge_presets.test_a_number_that_is_none_is_refused,
            test_gauge_presets.test_a_counter_in_place_of_the_gauge_is_refused,
        ),
    },
)

MEDIAWIKI = Recorded(
    frozenset({"MediaWiki"}),
    {
        Case.CYCLE: (
            test_mediawiki.test_nobody_is_sure_who_may_have_been_active_in_the_cycle_before,
        ),
        Case.NEVER: "the list holds people who were active only",
        Case.PROGRAMS: (
            test_mediawiki.test_the_list_is_read_over_its_pages_without_the_systems_account,
            test_mediawiki.test_programs_that_the_wiki_does_not_know_as_such_are_left_out_by_their_numbers,
        ),
        Case.DEACTIVATED: "the list is of edits, and does not tell who is blocked",
        Case.PAGES: (
            test_mediawiki.test_the_list_is_read_over_its_pages_without_the_systems_account,
        ),
        Case.LIES: (
            test_mediawiki.test_a_page_that_comes_again_and_again_is_noticed,
            test_mediawiki.test_a_row_in_anothers_place_rules_nobody_out,
        ),
    },
)

KEYCLOAK = Recorded(
    frozenset({"Keycloak"}),
    {
        Case.CYCLE: (test_keycloak.test_sign_ins_to_the_products_client_count_once_each_person,),
        Case.NEVER: "who was never active has no event",
        Case.PROGRAMS: (test_keycloak.test_programs_do_not_count,),
        Case.DEACTIVATED: (test_keycloak.test_who_was_deleted_since_counts_all_the_same,),
        Case.PAGES: (test_keycloak.test_sign_ins_to_the_products_client_count_once_each_person,),
        Case.LIES: (
            test_keycloak.test_a_log_that_contradicts_itself_counts_nobody,
            test_keycloak.test_a_page_that_comes_again_and_again_proves_nothing,
            test_keycloak.test_a_realm_that_saves_no_sign_ins_is_told_what_to_switch_on,
        ),
    },
)

OPENCLOUD_EVENTS = Recorded(
    frozenset({"OpenCloudEvents"}),
    {
        Case.CYCLE: (
            test_opencloud_events.test_of_an_ordinary_installation_exactly_the_people_count,
            test_opencloud_events.test_an_upload_whose_processing_ends_later_is_none_of_that_day,
        ),
        Case.NEVER: "who was never active has no event",
        Case.PROGRAMS: (
            test_opencloud_events.test_the_servers_own_accounts_and_those_of_other_servers_are_not,
            test_opencloud_events.test_an_upload_of_a_service_account_is_known_by_its_identity_provider,
        ),
        Case.DEACTIVATED: "events stay, whatever becomes of the account",
        Case.PAGES: (
            test_jetstream.test_a_log_proves_the_same_however_it_is_cut_into_batches_and_polls,
        ),
        Case.LIES: (
            test_opencloud_events.test_a_type_in_words_is_none_that_is_known,
            test_opencloud_events.test_whoever_has_no_type_is_not_counted_since_nothing_shows_a_person,
            test_opencloud_events.test_what_vanishes_from_the_disk_is_not_its_owners_doing_although_her_type_is_told,
        ),
    },
)

PUSHED = Recorded(
    frozenset({"StandardPush"}),
    {
        Case.CYCLE: (
            test_cloudevents.test_ids_become_pseudonyms_of_their_cycle_and_the_rest_is_told_apart,
        ),
        Case.NEVER: "who was never active has no event",
        Case.PROGRAMS: (
            test_cloudevents.test_ids_become_pseudonyms_of_their_cycle_and_the_rest_is_told_apart,
        ),
        Case.DEACTIVATED: "events stay, whatever becomes of the account",
        Case.PAGES: (test_cloudevents.test_a_batch_a_single_event_and_binary_mode_say_the_same,),
        Case.LIES: (test_cloudevents.test_what_is_not_in_the_form_is_refused_with_its_place,),
    },
)

ALL = (LISTS, NUMBERS, MEDIAWIKI, KEYCLOAK, OPENCLOUD_EVENTS, PUSHED)


@pytest.mark.parametrize("preset", presets())
def test_a_preset_has_each_recorded_case_or_the_reason_why_there_is_none(preset):
    (recorded,) = [each for each in ALL if preset in each.presets]
    for case in Case:
        shows = recorded.cases[case]
        if isinstance(shows, str):
            assert " " in shows
            continue
        assert shows, case
        assert all(test.__name__.startswith("test_") for test in shows)


def test_nothing_is_recorded_of_a_preset_that_there_is_not():
    assert {name for each in ALL for name in each.presets} == set(presets())
