"""Columns, records and paragraphs, apart from what is said in them."""

from __future__ import annotations

from ptcalc.report.page import Column, Page, Screen

COLUMNS = (Column("name", right=False), Column("bytes"), Column("how", right=False))
LONG = "a rule that takes more words than a narrow screen has room for, wherever it stands in its row"


def test_table_where_there_is_room() -> None:
    """Columns are as wide as their widest cell, numbers stand at the right."""
    page = Page(Screen())
    page.table(COLUMNS, [["a", "1,024", "x"], ["bb", "8", LONG]])

    assert page.text().splitlines() == ["name  bytes  how", "a     1,024  x", f"bb        8  {LONG}"]


def test_column_is_left_out_before_rows_are_stacked() -> None:
    """The caller says which column a narrow screen can do without, and learns what is shown."""
    page = Page(Screen(40))
    shown = page.table(COLUMNS, [["a", "1,024", LONG]], leave_out=(("bytes",), ("how",)))

    assert page.text().splitlines() == ["name  bytes", "a     1,024"]
    assert shown == {"name", "bytes"}


def test_record_wraps_a_cell_that_is_wider_than_the_screen_wherever_it_stands() -> None:
    """A long cell in the middle of a row is wrapped as well, and no word is lost."""
    page = Page(Screen(40))
    page.table((COLUMNS[0], COLUMNS[2], COLUMNS[1]), [["a", LONG, "1,024"]])
    lines = page.text().splitlines()

    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()) == f"a how {LONG} bytes 1,024"


def test_paragraph_hangs_below_its_first_word() -> None:
    """Later lines of a paragraph start where its text starts, not its label."""
    page = Page(Screen(40))
    page.say(LONG, label="DO   ")
    lines = page.text().splitlines()

    assert lines[0].startswith("DO   a rule")
    assert all(line.startswith("     ") and line[5] != " " for line in lines[1:])


def test_pipe_is_never_wrapped() -> None:
    """Without a screen a paragraph is one line, however long."""
    page = Page(Screen())
    page.say(LONG * 1000)

    assert page.text() == f"{LONG * 1000}\n"


def test_blocks_stand_side_by_side_only_where_both_fit() -> None:
    """Two short tables share the lines of a wide screen and follow each other on a narrow one."""
    left, right = (COLUMNS[:2], [["first", "1"], ["second", "2"]]), (COLUMNS[:2], [["third", "3"]])
    wide, narrow = Page(Screen(80)), Page(Screen(40))
    wide.beside([left, right])
    narrow.beside([left, (COLUMNS[:2], [["a name that takes the line", "3"]])])

    assert wide.text().splitlines()[1] == "first       1    third      3"
    assert narrow.text().splitlines()[3:] == [
        "",
        "name                        bytes",
        "a name that takes the line      3",
    ]
