"""The laws of programs, of the walkthrough and of its formats over all pairs of subjects: only time is heavy here."""

from __future__ import annotations

import pytest
from cases import VARIANTS
from pairwise import pairs
from walks import DROPOUT, PROJECTIONS, SUBJECTS

from gatewise.walkthrough.notation import NOTATIONS
from tests import (
    test_data,
    test_html,
    test_latex,
    test_markdown,
    test_notebook,
    test_program,
    test_program_json,
    test_render,
    test_walkthrough,
)

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("few_differences")]

LARGER = {"variant": VARIANTS, "projection": PROJECTIONS, "dropout": DROPOUT}  # three features, four units


@pairs(**test_program.RUNS)
def test_the_program_equals_the_equations_and_their_adjoints(variant, projection, masked, form, valid, direction):
    test_program.hold_the_equations(variant, projection, masked, form, valid, direction)


@pairs(**test_program.PROGRAMS)
def test_every_equation_takes_only_what_is_given_carried_or_made_before(variant, projection, dropout, form):
    test_program.hold_the_order(variant, projection, dropout, form)


@pairs(**test_program.MASKED_RUNS)
def test_a_rewritten_program_computes_the_same(variant, projection, masked, form):
    test_program.hold_a_rewritten_program(variant, projection, masked, form)


@pairs(**LARGER, way=test_walkthrough.WAYS, notation=NOTATIONS)
def test_every_equation_gives_the_number_shown(variant, projection, dropout, way, notation):
    test_walkthrough.hold_every_equation(variant, projection, dropout, way, notation)


@pairs(**LARGER)
def test_a_walk_shows_what_it_uses_and_ends_where_the_run_does(variant, projection, dropout):
    test_walkthrough.hold_what_was_shown_before(variant, projection, dropout)
    test_walkthrough.hold_the_end_of_a_walk(variant, projection, dropout)
    test_walkthrough.hold_a_backward_walk(variant, projection, dropout)
    test_walkthrough.hold_a_backward_walk(variant, projection, dropout, of_outputs=True)


@pairs(**LARGER, way=test_data.WAYS, notation=NOTATIONS)
def test_a_reader_computes_every_value_again_from_the_json(variant, projection, dropout, way, notation):
    test_data.hold_a_reader(variant, projection, dropout, way, notation)


@pairs(**LARGER, way=test_program_json.WAYS, notation=NOTATIONS)
def test_what_the_sections_show_follows_from_the_program(variant, projection, dropout, way, notation):
    test_program_json.hold_a_program(variant, projection, dropout, notation, way)


@pairs(**LARGER, way=test_notebook.WAYS, notation=NOTATIONS)
def test_the_cells_of_a_notebook_print_what_is_saved_in_them(variant, projection, dropout, way, notation):
    test_notebook.hold_a_notebook(variant, projection, dropout, way, notation)


@pairs(**SUBJECTS, way=test_render.WAYS, notation=NOTATIONS, allowed=test_render.affordable)
def test_all_formats_show_the_same_numbers(variant, projection, dropout, way, notation, whole_tables):
    test_render.hold_all_formats(variant, projection, dropout, way, notation)


@pairs(**SUBJECTS, way=test_latex.WAYS, notation=["gatewise", "keras"])
def test_what_is_computed_as_latex_says_is_the_number_shown(variant, projection, dropout, way, notation, every_digit):
    test_latex.hold_equations_in_symbols(variant, projection, dropout, notation)
    test_latex.hold_lines_with_numbers(variant, projection, dropout, way)


@pairs(**SUBJECTS, way=test_latex.WAYS, notation=NOTATIONS)
def test_the_formulas_of_latex_and_markdown_are_in_order(variant, projection, dropout, way, notation):
    test_latex.hold_formulas(variant, projection, dropout, way, notation)
    test_latex.hold_the_order_of_numbers(variant, projection, dropout, way)
    test_markdown.hold_mathematics(variant, projection, dropout, way, notation)
    test_markdown.hold_worked_lines(variant, projection, dropout, way)
    test_markdown.hold_tables(variant, projection, dropout, way)


@pairs(**SUBJECTS, way=test_html.WAYS)
def test_every_page_and_every_piece_of_a_formula_is_that_of_the_text(variant, projection, dropout, way):
    test_html.hold_a_page(variant, projection, dropout, way)
    test_html.hold_pieces(variant, projection, dropout, way)
    test_html.hold_an_expanded_sum(variant, projection)


@pairs(**test_html.IN_NOTATIONS)
def test_every_notation_has_its_page(variant, notation, way):
    test_html.hold_a_page_in_a_notation(variant, notation, way)


@pairs(variant=VARIANTS, projection=PROJECTIONS, unit=(None, 0))
def test_a_walk_fits_a_terminal_of_80_columns(variant, projection, unit):
    test_walkthrough.hold_80_columns(variant, projection, unit)
