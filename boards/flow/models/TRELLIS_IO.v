// Pins of an ECP5: TRELLIS_IO by its parameter DIR, as a port of Verilog has one direction. The checker of the netlist
// sees to that an output is never off.
module TRELLIS_IO_INPUT (input B, I, T, output O);
  parameter DIR = "INPUT";
  assign O = B;
endmodule

module TRELLIS_IO_OUTPUT (output B, input I, T, output O);
  parameter DIR = "OUTPUT";
  assign B = I;
  assign O = I;
endmodule
