"""The mechanism: levels, primitives with their linear maps, the registry of them, and the duck array that NumPy meets.

It knows no derivative of any function, no engine, and none of the other rooms.  A newcomer begins with `levels` (which
differentiation a value belongs to), `primitive` (what an operation with a derivative is), `registry` (how one is
declared) and `duck_array` (how NumPy code reaches them); `assignment`, `views` and `writing` give arrays NumPy's
meaning where they are changed.

Public, as names of `shared`: `REGISTRY`, the forms `elementwise`, `multilinear`, `rule`, `composite`, `constant` and
`alias`, and the errors.
"""
