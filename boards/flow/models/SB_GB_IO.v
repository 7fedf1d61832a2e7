// Pin of an iCE40 that drives a global net, without registers.
module SB_GB_IO (input PACKAGE_PIN, CLOCK_ENABLE, output GLOBAL_BUFFER_OUTPUT);
  parameter PIN_TYPE = 6'b000001, IO_STANDARD = "SB_LVCMOS";
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
endmodule
