"""Waves: the VCD that the simulation writes becomes an FST, a small fraction of its size, for GTKWave or Surfer."""

from pathlib import Path

import pylibfst

PERIOD = 10
"""What a cycle takes in the time of the waves, which begin with cycle 0."""

_FST = pylibfst.lib


def convert(vcd: Path, fst: Path):
    """Write the signals and changes of ``vcd``, as Verilator writes it (vectors and single bits), to ``fst``.

    Raises OSError when a file cannot be read or written.
    """
    context = _FST.fstWriterCreate(str(fst).encode(), 1)
    if context == pylibfst.ffi.NULL:
        raise OSError(f"{fst} cannot be written")
    try:
        with vcd.open("rb") as lines:
            _changes(context, lines, *_header(context, lines))
    finally:
        _FST.fstWriterClose(context)


def _header(context, lines) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Declare scopes and signals; returns handle and width by the VCD's short names. A name that is declared again is
    another name of the same signal."""
    _FST.fstWriterSetPackType(context, _FST.FST_WR_PT_LZ4)
    handles, widths = {}, {}
    for line in lines:
        words = line.split()
        match words[:1]:
            case [b"$timescale"]:
                scale = b"".join(words[1:]).removesuffix(b"$end") or next(lines).strip()
                _FST.fstWriterSetTimescaleFromString(context, scale)
            case [b"$scope"]:
                _FST.fstWriterSetScope(context, _FST.FST_ST_VCD_MODULE, words[2], pylibfst.ffi.NULL)
            case [b"$upscope"]:
                _FST.fstWriterSetUpscope(context)
            case [b"$var"]:
                width, code, name = int(words[2]), words[3], b" ".join(words[4:-1])
                handle = _FST.fstWriterCreateVar(
                    context, _FST.FST_VT_VCD_WIRE, _FST.FST_VD_IMPLICIT, width, name, handles.get(code, 0)
                )
                handles.setdefault(code, handle)
                widths[code] = width
            case [b"$enddefinitions"]:
                break
    return handles, widths


def _changes(context, lines, handles: dict[bytes, int], widths: dict[bytes, int]):
    emit = _FST.fstWriterEmitValueChange
    for line in lines:
        kind = line[:1]
        if kind == b"#":
            _FST.fstWriterEmitTimeChange(context, int(line[1:]))
        elif kind in b"01xz" and kind:
            emit(context, handles[line[1:-1]], kind)
        elif kind == b"b":
            value, code = line[1:].split()
            emit(context, handles[code], value.rjust(widths[code], b"0"))
