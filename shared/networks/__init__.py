"""Small networks: a multilayer perceptron, LeNet-5, losses, training, and backpropagation written by hand.

It knows networks, and no automatic differentiation: `backprop` is what the engines are compared with, and `training`
takes an engine as an argument.  `report` says layer by layer how a network does, and `diagram` draws it.

Public: `shared.MLP`, `shared.layer_report`, and the modules `mlp`, `lenet`, `losses`, `training`, `backprop`, `passes`,
`report` and `diagram`.
"""
