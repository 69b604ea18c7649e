"""One call, at least, of every entry of the registry: what the generated tests run.

An entry without a sample fails `test_registry.py`.  Add a line to the file of its family.  Derivatives, adjoints and
broadcasting are tested on `SAMPLES`, every shape; tests of other properties take one of the selections below.
"""

from registry_samples.constants import CONSTANTS
from registry_samples.elementwise import COMPLEX as COMPLEX_ELEMENTWISE
from registry_samples.elementwise import ELEMENTWISE, OTHER_DOMAINS
from registry_samples.fourier import FOURIER, FOURIER_COMPLEX
from registry_samples.grids import GRIDS
from registry_samples.indexing import INDEXING
from registry_samples.linear_algebra import LINEAR_ALGEBRA, LINEAR_ALGEBRA_COMPLEX
from registry_samples.placing import PLACING
from registry_samples.products import CONVOLUTIONS, CONVOLUTIONS_COMPLEX, EINSUM, PRODUCTS
from registry_samples.reductions import REDUCTIONS_AND_SCANS
from registry_samples.sample import Sample
from registry_samples.scipy_linalg import SCIPY_LINALG, SCIPY_LINALG_COMPLEX
from registry_samples.scipy_transforms import SCIPY_TRANSFORMS, SCIPY_TRANSFORMS_COMPLEX
from registry_samples.selection import all_shapes, joined, one_shape, one_shape_a_kind, one_shape_a_rank
from registry_samples.shapes import SHAPES
from registry_samples.special import SPECIAL
from registry_samples.statistics import STATISTICS

#: Samples that have a derivative
SAMPLES: list[Sample] = joined(
    ELEMENTWISE,
    REDUCTIONS_AND_SCANS,
    SHAPES,
    INDEXING,
    PLACING,
    PRODUCTS,
    EINSUM,
    CONVOLUTIONS,
    LINEAR_ALGEBRA,
    FOURIER,
    STATISTICS,
    GRIDS,
    SPECIAL,
    OTHER_DOMAINS,
    SCIPY_LINALG,
    SCIPY_TRANSFORMS,
)

#: Samples whose primitives call SciPy
OF_SCIPY: list[Sample] = [*SCIPY_LINALG, *SCIPY_LINALG_COMPLEX, *SCIPY_TRANSFORMS, *SCIPY_TRANSFORMS_COMPLEX]

#: Samples with complex arguments or results
COMPLEX: list[Sample] = [
    *COMPLEX_ELEMENTWISE,
    *FOURIER_COMPLEX,
    *CONVOLUTIONS_COMPLEX,
    *LINEAR_ALGEBRA_COMPLEX,
    *SCIPY_LINALG_COMPLEX,
    *SCIPY_TRANSFORMS_COMPLEX,
]

#: One sample of each expression: of every function with each of its keywords
ONE_SHAPE: list[Sample] = one_shape(SAMPLES)
ONE_SHAPE_COMPLEX: list[Sample] = one_shape(COMPLEX)
ONE_SHAPE_CONSTANTS: list[Sample] = one_shape(CONSTANTS)

#: The same, and every broadcast shape of one function of each form that broadcasts
ONE_SHAPE_AND_BROADCASTS: list[Sample] = joined(
    ONE_SHAPE, all_shapes(SAMPLES, ["np.exp(x)", "np.add(x, y)", "np.multiply(x, y)", "np.divide(x, y)", "x ** y"])
)

#: Samples of what moves and picks elements
MOVES: list[Sample] = [*SHAPES, *INDEXING]

#: The same, and each number of axes of what moves, reduces and contracts axes, and broadcast shapes
EACH_RANK: list[Sample] = joined(
    ONE_SHAPE_AND_BROADCASTS,
    one_shape_a_rank(sample for sample in SAMPLES if sample not in ELEMENTWISE and sample not in SPECIAL),
)

__all__ = [
    "COMPLEX",
    "CONSTANTS",
    "EACH_RANK",
    "MOVES",
    "OF_SCIPY",
    "ONE_SHAPE",
    "ONE_SHAPE_AND_BROADCASTS",
    "ONE_SHAPE_COMPLEX",
    "ONE_SHAPE_CONSTANTS",
    "SAMPLES",
    "Sample",
    "one_shape",
    "one_shape_a_kind",
]
