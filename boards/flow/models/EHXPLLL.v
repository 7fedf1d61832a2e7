// Phase-locked loop of an ECP5 (Lattice FPGA-TN-02200) whose output is its input: a simulation counts cycles of the
// clock that is made, whatever the ratio, and the loop has locked from the start. The checker of the netlist sees to the
// other outputs, which are not there, and to what is tied off: reset and standby.
module EHXPLLL (
  input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
  output CLKOP, LOCK
);
  parameter PLLRST_ENA = "DISABLED", INTFB_WAKE = "DISABLED", STDBY_ENABLE = "DISABLED", DPHASE_SOURCE = "DISABLED";
  parameter OUTDIVIDER_MUXA = "DIVA", OUTDIVIDER_MUXB = "DIVB", OUTDIVIDER_MUXC = "DIVC", OUTDIVIDER_MUXD = "DIVD";
  parameter FEEDBK_PATH = "CLKOP", CLKOP_ENABLE = "ENABLED";
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0;
  assign CLKOP = CLKI;
  assign LOCK = 1'b1;
endmodule
