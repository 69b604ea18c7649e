"""Stretches as C text: one function each.

A function gets a workspace and a tuple of Python objects, whose numbers and addresses it reads where CPython and NumPy
keep them.  It returns 0, the floating-point flags that were raised (in the bits of FLAGS), or a negative status: an
array that is not contiguous, an index out of range, a branch that went another way.  Every name in the text is a
generated one; what users called things stands in comments of one line, of which only plain signs are left.  This module
knows no programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shared.programs.machine_code.kernels import Buffer, Kernel, Product, Stretch
from shared.programs.machine_code.loops import Loop
from shared.programs.machine_code.operations import SIZES, said

#: What a function returns beside flags, and DEPARTED less the number of a branch that went another way.
NOT_CONTIGUOUS, OUT_OF_RANGE = -1, -2
#: The floating-point flags as the settings of np.errstate: the first is the lowest bit.
FLAGS = {"divide": "FE_DIVBYZERO", "over": "FE_OVERFLOW", "under": "FE_UNDERFLOW", "invalid": "FE_INVALID"}
#: Bytes to which buffers are aligned.
_LINE = 64

PREAMBLE = """\
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char truth;
typedef void gemm_double(char *, char *, int *, int *, int *, double *, const double *, int *, const double *, int *,
                         double *, double *, int *);
typedef void gemv_double(char *, int *, int *, double *, const double *, int *, const double *, int *, double *,
                         double *, int *);
typedef void gemm_float(char *, char *, int *, int *, int *, float *, const float *, int *, const float *, int *,
                        float *, float *, int *);
typedef void gemv_float(char *, int *, int *, float *, const float *, int *, const float *, int *, float *,
                        float *, int *);
static void *blas[4];
void connect(void **functions) {{ memcpy(blas, functions, sizeof blas); }}
{vector_math}
// Items of a tuple, contents of a number, of an array, and whether that is contiguous and aligned.
#define ITEMS(tuple) ((void **)((char *)(tuple) + {tuple_head}))
#define NUMBER(object, type) (*(type *)((char *)(object) + {head}))
#define DATA(object, type) (*(type **)((char *)(object) + {head}))
#define FITS(object) ((*(int *)((char *)(object) + {flags}) & 0x101) == 0x101)
#define FITS_FORTRAN(object) ((*(int *)((char *)(object) + {flags}) & 0x102) == 0x102)

// Sums of blocks, added pairwise: as many terms are added to any as the logarithm of their number.
#define CASCADE(type) \\
    typedef struct {{ type part[60]; unsigned long count; }} cascade_##type; \\
    static inline void push_##type(cascade_##type *s, type v) {{ \\
        int k = 0; \\
        for (unsigned long c = s->count++; c & 1; c >>= 1) v = s->part[k++] + v; \\
        s->part[k] = v; \\
    }} \\
    static inline type total_##type(const cascade_##type *s) {{ \\
        type v = 0; \\
        int k = 0; \\
        for (unsigned long c = s->count; c; c >>= 1, k++) if (c & 1) v = s->part[k] + v; \\
        return v; \\
    }}
CASCADE(double)
CASCADE(float)

static inline int flags_raised(void) {{
    const int raised = fetestexcept(FE_ALL_EXCEPT);
    return {flags_raised};
}}

static inline long within(long k, long n, int *bad) {{
    if (k < 0) k += n;
    if ((unsigned long)k < (unsigned long)n) return k;
    *bad = 1;
    return 0;
}}
"""

#: Functions with versions for vectors in the mathematical library that comes with the GNU C library from 2.35 on.
_VECTOR = ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh",
           "asin", "acos", "atan", "asinh", "acosh", "atanh", "cbrt")  # fmt: skip
_VECTOR_OF_TWO = ("pow", "atan2", "hypot")


def preamble(layout: Layout, vector_math: bool) -> str:
    """What each text begins with."""
    lines = []
    if vector_math:
        for name in _VECTOR:
            lines.append(f'__attribute__((simd("notinbranch"))) double {name}(double);')
            lines.append(f'__attribute__((simd("notinbranch"))) float {name}f(float);')
        for name in _VECTOR_OF_TWO:
            lines.append(f'__attribute__((simd("notinbranch"))) double {name}(double, double);')
            lines.append(f'__attribute__((simd("notinbranch"))) float {name}f(float, float);')
    # Processors differ in the bits of their flags.
    raised = " | ".join(f"(raised & {flag} ? {1 << bit} : 0)" for bit, flag in enumerate(FLAGS.values()))
    return PREAMBLE.format(**layout._asdict(), vector_math="\n".join(lines), flags_raised=raised)


class Layout(NamedTuple):
    """Where contents lie: the bytes before a number or the address of an array, its flags, and the items of a tuple."""

    head: int
    flags: int
    tuple_head: int


class StretchText:
    """The C function of a stretch.  `numbers` is how many numbers the workspace begins with.

    `objects` are the values whose Python objects it takes, in order; `made` those of them that it fills; `bytes` is how
    much workspace it needs.
    """

    def __init__(self, stretch: Stretch, numbers: int, name: str):
        self.stretch = stretch
        self.name = name
        self.objects: list[int] = []
        self.made: dict[int, Buffer] = {}
        self.bytes = -(-numbers * 8 // _LINE) * _LINE
        self.head: list[str] = []
        #: how each buffer is called: an array, or a variable
        self.names: dict[int, str] = {}
        buffers = list(dict.fromkeys(b for kernel in stretch.kernels for b in kernel.buffers()))
        self.is_indexed = any(buffer.kind == "int64_t" for buffer in buffers)
        for buffer in buffers:
            self._declare(buffer)
        self._place_buffers()
        body = [line for kernel in stretch.kernels for line in self._kernel(kernel)]
        self.lines = [
            f"static __attribute__((noinline)) int body_of_{name}(char *restrict w, void **restrict o) {{",
            "    int bad = 0;",
            *[f"    {line}" for line in self.head],
            *[f"    {line}" for line in body],
            f"    return bad ? {OUT_OF_RANGE} : 0;",
            "}",
            f"int {name}(char *w, void *tuple) {{",
            "    feclearexcept(FE_ALL_EXCEPT);",
            f"    int status = body_of_{name}(w, ITEMS(tuple));",
            "    return status ? status : flags_raised();",
            "}",
        ]

    # --- buffers ---

    def _declare(self, buffer: Buffer) -> None:
        """Lines that make a name for a buffer which is not in the workspace."""
        own = buffer.stretch == self.stretch.number
        name = f"v{buffer.number}"
        if buffer.slot >= 0:
            self.names[buffer.number] = f"(*s{buffer.number})"
            self.head.append(f"{buffer.kind} *s{buffer.number} = ({buffer.kind} *)(w + {8 * buffer.slot});")
        elif buffer.holder is not None:
            if buffer.holder not in self.objects:
                self.objects.append(buffer.holder)
            item = f"o[{self.objects.index(buffer.holder)}]"
            if buffer.is_number:
                self.names[buffer.number] = name
                self.head.append(f"const {buffer.kind} {name} = NUMBER({item}, {buffer.kind});")
                return
            self.names[buffer.number] = f"b{buffer.number}"
            const = "" if own else "const "
            if own:
                self.made[buffer.holder] = buffer
            else:
                order = "FITS_FORTRAN" if buffer.is_fortran else "FITS"
                self.head.append(f"if (!{order}({item})) return {NOT_CONTIGUOUS};")
            self.head.append(f"{const}{buffer.kind} *restrict b{buffer.number} = DATA({item}, {buffer.kind});")
        elif buffer.size == 1:
            self.names[buffer.number] = name
            self.head.append(f"{buffer.kind} {name};")
        elif not buffer.stored:
            self.names[buffer.number] = name  # a variable of its kernel

    def is_variable(self, buffer: Buffer) -> bool:
        """Whether a buffer is one variable, which needs no address."""
        return buffer.is_number or buffer.slot >= 0 or (buffer.holder is None and buffer.size == 1)

    def pointer(self, buffer: Buffer) -> str:
        """A buffer as an array."""
        name = self.names[buffer.number]
        return f"(&{name})" if self.is_variable(buffer) else name

    def _place_buffers(self) -> None:
        """Give those that live in the workspace a region each, which the next of its type takes when it is dead."""
        last: dict[int, int] = {}
        waiting: list[tuple[int, Buffer]] = []
        for at, kernel in enumerate(self.stretch.kernels):
            for buffer in kernel.buffers():
                if buffer.number not in self.names and buffer.number not in last:
                    waiting.append((at, buffer))
                last[buffer.number] = at
        free: dict[str, list[tuple[int, str]]] = {}
        held: list[tuple[int, Buffer, str, int]] = []
        for at, buffer in waiting:
            for entry in [entry for entry in held if last[entry[1].number] < at]:
                held.remove(entry)
                free.setdefault(entry[1].kind, []).append((entry[3], entry[2]))
            fitting = [f for f in free.get(buffer.kind, ()) if buffer.size <= f[0] <= 2 * buffer.size + _LINE]
            if fitting:
                size, name = min(fitting)
                free[buffer.kind].remove((size, name))
            else:
                size, name = buffer.size, f"r{len(self.head)}"
                self.head.append(f"{buffer.kind} *restrict {name} = ({buffer.kind} *)(w + {self.bytes});")
                self.bytes += -(-size * SIZES[buffer.kind] // _LINE) * _LINE
            held.append((at, buffer, name, size))
            self.names[buffer.number] = name

    # --- kernels ---

    def _kernel(self, kernel: Kernel | Product) -> Iterator[str]:
        if isinstance(kernel, Product):
            yield from self._product(kernel)
        else:
            yield from Loop(self, kernel).lines()

    def _product(self, product: Product) -> Iterator[str]:
        kind, rows, inner, columns = product.result.kind, product.rows, product.inner, product.columns
        first, second = (f"{self.pointer(p.buffer)} + {p.offset}" for p in (product.a, product.b))
        c = self.pointer(product.result)
        by_rows, leading = _layout(product.a.strides)
        one = f"{kind} one = 1, zero = 0;"
        yield f"{{   {said(product.said)}"
        if columns:
            rows_of_b, leading_b = _layout(product.b.strides)
            yield f"    int m = {columns}, n = {rows}, k = {inner}, x = {leading_b}, y = {leading}; {one}"
            yield (
                f'    ((gemm_{kind} *)blas[{0 if kind == "double" else 2}])("{"N" if rows_of_b else "T"}", '
                f'"{"N" if by_rows else "T"}", &m, &n, &k, &one, {second}, &x, {first}, &y, &zero, {c}, &m);'
            )
        else:
            m, n = (inner, rows) if by_rows else (rows, inner)
            yield f"    int m = {m}, n = {n}, x = {leading}, step = {product.b.strides[0]}, unit = 1; {one}"
            yield f"    memset({c}, 0, sizeof({kind}) * {rows});"
            yield (
                f'    ((gemv_{kind} *)blas[{1 if kind == "double" else 3}])("{"T" if by_rows else "N"}", &m, &n, '
                f"&one, {first}, &x, {second}, &step, &zero, {c}, &unit);"
            )
        yield "}"


def _layout(strides: tuple[int, ...]) -> tuple[bool, int]:
    """Whether the elements of a row lie together, and the stride of the other axis."""
    return (True, strides[0]) if strides[1] == 1 else (False, strides[1])


def whole_text(stretches: list[StretchText], opening: str, called: str) -> str:
    """The text of all functions."""
    lines = [said(called), opening]
    for stretch in stretches:
        lines += [*stretch.lines, ""]
    return "\n".join(lines)
