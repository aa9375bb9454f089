"""Train multilayer perceptrons with hand-written gradients: the numpy engine."""
