"""The controller of a small core: a processor, its instructions, its firmware, and the core around it."""
