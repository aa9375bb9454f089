"""The torch engine: residual networks on CUDA or on the CPU."""
