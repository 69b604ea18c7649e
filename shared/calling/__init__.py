"""Calling conventions: which arguments vary, nested containers of arrays, what a function may return, what comes back.

It knows containers, shapes, dtypes and error messages, and what derivatives are put together from; nothing of how an
engine finds them.  `tree` takes containers apart, `arguments` says which leaves vary, `options` checks how directions
are to be divided, `transformed` makes what a transform returns, `results` and `seeds` are what goes out of a function
and into a derivative, `jacobians` what is made of many directions, `derived` what is made of an engine's few
operations, and `engine` is the interface of an engine.

Public, as names of `shared`: `flatten`, `unflatten`, `tree_map` and `Engine`.
"""
