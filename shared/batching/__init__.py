"""Many at once: examples and directions along one hidden axis, and work on other cores.

It knows NumPy's axes and what each primitive makes of one more, and no derivative.  `batched` is the tracer, which
applies the batch rules that the tables declare (`example_by_example` where there is none); `vmap` carries examples,
`directions` the directions of a derivative (`one_hot` those that are unit vectors), and `parallel` gives either to an
executor.

Public, as names of `shared`: `vmap`, `report_loops`, `sum_over_shards` and `ExecutorError`.
"""
