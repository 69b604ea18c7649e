"""One call, at least, of every entry of the registry: what the generated tests run.

An entry without a sample fails `test_registry.py`.  Add a line to the file of its family.
"""

from registry_samples.constants import CONSTANTS
from registry_samples.elementwise import COMPLEX as COMPLEX_ELEMENTWISE
from registry_samples.elementwise import ELEMENTWISE
from registry_samples.fourier import FOURIER, FOURIER_COMPLEX
from registry_samples.grids import GRIDS
from registry_samples.indexing import INDEXING
from registry_samples.linear_algebra import LINEAR_ALGEBRA
from registry_samples.products import CONVOLUTIONS, CONVOLUTIONS_COMPLEX, EINSUM, PRODUCTS
from registry_samples.reductions import REDUCTIONS_AND_SCANS
from registry_samples.sample import Sample
from registry_samples.shapes import SHAPES
from registry_samples.special import SPECIAL
from registry_samples.statistics import STATISTICS

#: Samples that have a derivative
SAMPLES: list[Sample] = list(
    {
        str(sample): sample
        for family in (
            ELEMENTWISE,
            REDUCTIONS_AND_SCANS,
            SHAPES,
            INDEXING,
            PRODUCTS,
            EINSUM,
            CONVOLUTIONS,
            LINEAR_ALGEBRA,
            FOURIER,
            STATISTICS,
            GRIDS,
            SPECIAL,
        )
        for sample in family
    }.values()
)

#: Samples with complex arguments or results
COMPLEX: list[Sample] = [*COMPLEX_ELEMENTWISE, *FOURIER_COMPLEX, *CONVOLUTIONS_COMPLEX]

__all__ = ["COMPLEX", "CONSTANTS", "SAMPLES", "Sample"]
