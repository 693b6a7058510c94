"""The laws of grading once more, over as many sheets as they promise: nothing but time is heavy here."""

from __future__ import annotations

import pytest
from cases import VARIANTS
from pairwise import pairs
from slips.judging import plain_shared_cell
from written import cells

from tests.test_causes import (
    TAKES,
    every_named_slip,
    hold_a_gradient_of_one_step,
    hold_a_known_mistake,
    hold_a_missing_sum,
    hold_one_unit_alone,
    hold_two_mistakes,
    hold_two_mistakes_in_one_equation,
    of_steps,
    steps_taken_for_all,
)
from tests.test_cli_check import SMALL, hold_one_line
from tests.test_marking import (
    PROJECTED,
    WAYS,
    hold_a_variant,
    hold_blanks,
    hold_partly_blank_arrays,
    hold_right_files,
    hold_right_sheets,
    hold_unknown_mistakes,
    hold_what_follows,
    hold_what_goes_wrong_again,
    hold_what_is_carried,
)
from tests.test_problem import hold_a_problem

pytestmark = pytest.mark.peers


@every_named_slip
def test_a_known_mistake_is_found_and_named_in_three_cells(kind):
    hold_a_known_mistake(kind, 3, plain_shared_cell)


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_a_sum_over_the_batch_that_is_missing_is_named_in_three_cells(take):
    hold_a_missing_sum(take, cells(10, 1))


def test_of_two_mistakes_on_forty_sheets_the_first_is_named():
    hold_two_mistakes(40, cells(10, 1))


@steps_taken_for_all
def test_a_gradient_of_one_step_for_that_of_all_is_named_in_four_cells(step, which):
    hold_a_gradient_of_one_step(step, which, cells(20, 3))


def test_of_any_two_mistakes_in_an_equation_neither_is_named_alone():
    hold_two_mistakes_in_one_equation(of_steps(cells(10, 1), 1)[:1])


def test_where_one_unit_alone_of_twenty_cells_is_written_its_mistake_is_named_as_well():
    hold_one_unit_alone(20)


@pytest.mark.parametrize("how", WAYS)
def test_none_of_a_hundred_right_sheets_is_accused(how):
    hold_right_sheets(how, cells(10, 1), 10)


def test_none_of_sixty_right_files_is_accused(tmp_path):
    hold_right_files(tmp_path, cells(10, 1), 6)


def test_of_two_hundred_unknown_mistakes_each_is_found_and_at_most_one_in_a_hundred_gets_a_cause():
    hold_unknown_mistakes(cells(20, 3), 10)


@pytest.mark.parametrize("digits", [4, 6, 8])
def test_what_is_computed_from_any_of_three_wrong_quantities_follows_from_it(digits):
    hold_what_follows(digits, cells(10, 1), 3)


def test_what_goes_wrong_again_is_wrong_twenty_times():
    hold_what_goes_wrong_again(cells(10, 1), 2)


def test_blanks_carry_nothing_forty_times():
    hold_blanks(cells(10, 1), 4)


def test_only_what_is_written_is_judged_of_forty_partly_blank_arrays():
    hold_partly_blank_arrays(cells(10, 1), 4)


def test_what_is_blank_is_carried_from_the_one_to_the_other_thirty_times():
    hold_what_is_carried(cells(10, 1), 3)


@pairs(variant=VARIANTS, projection=PROJECTED, steps=(1, 2), rows=(1, 2))
def test_a_problem_of_any_variant_and_size_is_taken_or_gets_one_sentence(variant, projection, steps, rows, tmp_path):
    hold_a_problem(variant, projection, steps, rows, tmp_path)


@pairs(variant=VARIANTS, projection=PROJECTED, batch=(1, 2))
def test_of_every_variant_a_wrong_number_is_found(variant, projection, batch):
    hold_a_variant(variant, projection, batch, 1)


@pytest.mark.parametrize("what", SMALL)
def test_the_command_says_one_line_of_whatever_is_no_sheet(what, tmp_path, capsys):
    hold_one_line(what, tmp_path, capsys)
