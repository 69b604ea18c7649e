"""Sparse derivatives: which entries may be nonzero, which columns or rows share a product, and how entries come back.

It knows the structure of dependence, and no derivative: products with a Jacobian are given to it.  `sparsity` detects
patterns by the rules in `dependence`, which compute with `relation`; `pattern` and `colouring` say what to ask for, and
`recovery` reads the entries off the products, which `derived` asks of an engine.

Public, as names of `shared`: `jacobian_pattern`, `Pattern`, `colour` and `Colouring`.
"""
