"""Event recordings that tests write."""

HEAD = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n"
SIDES = {".bin": 34, ".aedat": 128}


def recording(rows, suffix: str = ".bin", head: bytes = HEAD) -> bytes:
    """A file of events (x, y, polarity, time)."""
    if suffix == ".bin":
        return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, p, t in rows)
    return head + b"".join((y << 8 | x << 1 | p).to_bytes(4, "big") + t.to_bytes(4, "big") for x, y, p, t in rows)


def write(folder, parts, suffix: str = ".bin"):
    """A folder of recordings: parts -> class -> list of lists of events."""
    for part, classes in parts.items():
        for name, samples in classes.items():
            (folder / part / name).mkdir(parents=True)
            for number, rows in enumerate(samples):
                (folder / part / name / f"{number:05}{suffix}").write_bytes(recording(rows, suffix))
    return folder
