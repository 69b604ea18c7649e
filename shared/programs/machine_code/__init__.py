"""Machine code from recorded programs: the arithmetic as C, compiled in the background; see `compile(backend="c")`."""
