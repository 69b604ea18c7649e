"""Samples of Fourier transforms: of real and complex numbers, of more and fewer points than there are elements."""

from registry_samples.sample import Sample, over

_POINTS = ["", ", n=3", ", n=7", ", axis=0", ", norm='ortho'", ", norm='forward'", ", 3, 0, 'backward'"]
_SEVERAL = ["", ", axes=(0,)", ", s=(5, 3), axes=(0, 1)", ", (3, -1), (1, 0)", ", norm='ortho'",
    ", axes=(-1, 0), norm='forward'"]  # fmt: skip


def _calls(names: str, rests: list[str], around: str = "{}") -> list[str]:
    return [around.format(f"np.fft.{name}(x{rest})") for name in names.split() for rest in rests]


#: of real numbers, with real results; of 3 and 5 points the cosines are not zero
FOURIER = [
    *over(_calls("fft ifft rfft ihfft", _POINTS, "np.real({})"), [(3, 5)]),
    *over(_calls("fft ifft rfft", ["", ", n=4"], "np.abs({})"), [(5,)]),
    *over(_calls("irfft hfft", ["", ", n=3", ", n=4", ", n=9", ", axis=0", ", norm='ortho'"]), [(2, 3)]),
    *over(_calls("fft2 ifft2 fftn ifftn rfft2 rfftn", _SEVERAL, "np.real({})"), [(3, 5)]),
    *over(_calls("irfft2 irfftn", ["", ", s=(3, 5), axes=(0, 1)", ", axes=(0, 1), norm='forward'"]), [(3, 3)]),
    *over(["np.fft.irfft(np.fft.rfft(x), 5)", "np.fft.irfftn(np.fft.rfftn(x), x.shape, (0, 1))",
        "np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(x)))"], [(3, 5)]),
    *over(_calls("fftshift ifftshift", ["", ", axes=0", ", axes=(1,)", ", (-1, 0)"]), [(2, 3), (4, 5)]),
]  # fmt: skip

_ANY_AXIS = ["", ", axis=0", ", n=2, axis=-1", ", n=7, norm='ortho'"]
FOURIER_COMPLEX = [
    *over(_calls("fft ifft irfft hfft", _ANY_AXIS), [(4, 3)], "complex"),
    *over(_calls("fft ifft rfft ihfft", _ANY_AXIS), [(4, 3)]),
    *over(_calls("irfft hfft", [", n=1", ", n=2", ", n=4", ", n=5"]), [(1,), (3,), (5,)], "complex"),
    *over(_calls("rfft ihfft", [", n=1", ", n=2", ", n=4", ", n=5"]), [(1,), (4,), (5,)]),
    *over(_calls("fft2 ifft2 fftn ifftn irfft2 irfftn", ["", ", s=(3, 4), axes=(0, 1)"]), [(2, 3, 3)], "complex"),
    *over(_calls("rfft2 rfftn", ["", ", s=(3, 4), axes=(0, 1)"]), [(2, 3, 3)]),
    *over(_calls("fftshift ifftshift", ["", ", axes=1"]), [(2, 3)], "complex"),
    Sample("np.fft.ifft(np.fft.fft(x) * np.fft.fft(y))", x=(4,), y=(2, 4), domain={"y": "complex"}),
]
