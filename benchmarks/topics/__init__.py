"""The asv suite as an argument: one module a topic, the proof first.

Each module defines what it measures, for asv, for the report of `python -m benchmarks` and for the tests alike.  asv
finds the classes by their methods' names: `time_` (CPU seconds), `peakmem_` (bytes of the whole process) and `track_`
(any number); it is not imported.  Counts are the proof, they are exact; times are the illustration.

There is no `setup`: with one, asv makes one call a sample, too few for a call of microseconds.  What is measured is
built in the unmeasured first call and kept. asv notices a changed method but not what it calls: who changes a
definition raises the `version` of the classes that use it.
"""

#: The modules in the order in which they argue.
TOPICS = (
    "gradient_cost",
    "jacobian_cost",
    "memory",
    "second_order",
    "chain_order",
    "differences",
    "overhead",
    "engines_speed",
)
