"""Products with small constants."""


def times(value, factor: int):
    """``value * factor``, of shifted copies that are added: without a multiplier."""
    return sum(value << n for n in range(factor.bit_length()) if factor >> n & 1)
