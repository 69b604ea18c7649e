"""The network of the worked examples."""

import numpy as np

from shared.networks.mlp import MLP

# -------------------------------------------------- a network for handwritten digits


def digits_network():
    """A 784-15-10 network (Nielsen 2015, chapter 1) and 16 images of one bright blob each, values 0 to 1."""
    mlp = MLP([784, 15, 10], "sigmoid")
    rng = np.random.default_rng(4)
    parameters = mlp.initialise("xavier_normal", rng)
    rows, columns = np.mgrid[0:28, 0:28]
    centres = rng.uniform(6, 22, (16, 2, 1, 1))
    blobs = np.exp(-((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2) / 20.0)
    return mlp, parameters, blobs.reshape(16, 784), rng.integers(0, 10, 16), rng
