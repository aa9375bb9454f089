"""The numpy engine: a multilayer perceptron with hand-written gradients."""
