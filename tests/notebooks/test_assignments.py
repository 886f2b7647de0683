"""Assignments for nbgrader: what it removes, what it grades, and that the students' copy has no solution."""

import re

import nbformat
import pytest

from notebooks.assignments import create_assignment, insert_test, write_assignments
from notebooks.execute import NOTEBOOKS, read_solutions

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
REMOVED = r"### BEGIN (SOLUTION|HIDDEN TESTS)\n.*?### END \1"  # what nbgrader removes from the students' copy


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_the_metadata_are_complete_and_the_students_copy_has_no_solution(path):
    notebook, solutions = nbformat.read(path, as_version=4), read_solutions(path)
    assignment = create_assignment(notebook, solutions)
    nbformat.validate(assignment)
    marked = [cell for cell in assignment.cells if "nbgrader" in cell.metadata]
    about = [cell.metadata.nbgrader for cell in marked]
    assert [each.grade for each in about] == [False, True] * len(solutions)
    assert [each.solution for each in about] == [True, False] * len(solutions)
    assert len({each.grade_id for each in about}) == len(about)
    assert all(each.schema_version == 3 and each.cell_type == "code" and not each.task for each in about)
    assert all(each.locked and each.points > 0 for each in about if each.grade)
    shown = [re.sub(REMOVED, "", cell.source, flags=re.DOTALL) for cell in marked]
    for answer, solution in zip(shown[::2], solutions, strict=True):
        assert "= ..." in answer and solution.strip() not in answer
    assert not any("assert result" in check for check in shown[1::2])
    assert not any("outputs" in cell and cell.outputs for cell in assignment.cells)


def test_a_check_fails_unless_the_answer_is_right():
    source = insert_test("x = 1\nverify(\n    answer,\n    lambda a: a == x,\n)")
    start = "from helpers.exercises import verify\n"
    exec(start + "answer = 1\n" + source, {"display": print})
    for wrong in ("2", "..."):
        with pytest.raises(AssertionError, match="not"):
            exec(f"{start}answer = {wrong}\n{source}", {})
    with pytest.raises(ValueError, match="must end with a call of verify"):
        insert_test("print(1)")


def test_a_course_directory_has_one_assignment_per_notebook(tmp_path):
    write_assignments(tmp_path)
    assert len(list(tmp_path.glob("source/*/*.ipynb"))) == len(PATHS)
    assert "code_stub" in (tmp_path / "nbgrader_config.py").read_text()
