"""The examples of docs/api.md and of docstrings, as doctests."""

import doctest
from pathlib import Path

import pytest

import vrrpsim.api
import vrrpsim.build
import vrrpsim.run

API = Path(__file__).parents[1] / "docs" / "api.md"


def test_the_examples_of_the_page():
    failed, tried = doctest.testfile(
        str(API), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert (failed, tried > 8) == (0, True)


@pytest.mark.parametrize("module", [vrrpsim.api, vrrpsim.build, vrrpsim.run])
def test_the_examples_of_docstrings(module):
    assert doctest.testmod(module).failed == 0
