// Pins of an iCE40: SB_IO by its parameter PIN_TYPE, as a port of Verilog has one direction. The checker of the netlist
// sees to that an output is never off, and to that there are no registers.
module SB_IO_INPUT (input PACKAGE_PIN, CLOCK_ENABLE, output D_IN_0);
  parameter PIN_TYPE = 6'b000001, IO_STANDARD = "SB_LVCMOS", PULLUP = 0;
  assign D_IN_0 = PACKAGE_PIN;
endmodule

module SB_IO_OUTPUT (output PACKAGE_PIN, input CLOCK_ENABLE, D_OUT_0, OUTPUT_ENABLE);
  parameter PIN_TYPE = 6'b101001, IO_STANDARD = "SB_LVCMOS", PULLUP = 0;
  assign PACKAGE_PIN = D_OUT_0;
endmodule
