"""The fuzzer: random NumPy programs, and what must hold of every one of them.

`programs` is a program as data (its text, its arguments); `drawing` draws them, from the pieces in `expressions`,
`statements` and `blocks`; `checks` are what is checked of one, a function each; `shrinking` makes a failing program
small; `running` puts the parts together.  `tests/test_fuzz.py` runs some at fixed seeds, and by hand from the root of
the project `python -m tests.fuzz --programs 100000 --seed 7` runs many.

The modules here import one another, and those beside this folder, by the names that pytest gives them.
"""
