"""Trident: a chip generator that trains spiking neural networks by backpropagation in hardware."""
