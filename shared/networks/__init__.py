"""Small networks: a multilayer perceptron, losses, training, and backpropagation written by hand.

It knows networks, and no automatic differentiation: `backprop` is what the engines are compared with, and `training`
takes an engine as an argument.

Public: `shared.MLP`, and the modules `mlp`, `losses`, `training` and `backprop`.
"""
