// Memories that are read at once: two that become block RAMs with half_cycle.v, and one that is too small for that.
module top (
  input clk, we, input [7:0] wa, ra, rb, input [17:0] d, output [15:0] qa, qb, output [17:0] q, output [7:0] few
);
  reg [15:0] registers [0:15];
  reg [17:0] words [0:255];
  reg [7:0] bytes [0:3];
  integer n;
  initial begin
    for (n = 0; n < 16; n = n + 1) registers[n] = 16'h1234 * n;
    for (n = 0; n < 256; n = n + 1) words[n] = 18'h2abcd ^ n;
    for (n = 0; n < 4; n = n + 1) bytes[n] = n;
  end
  assign qa = registers[ra[3:0]], qb = registers[rb[3:0]], q = words[ra], few = bytes[rb[1:0]];
  always @(posedge clk)
    if (we) begin
      registers[wa[3:0]] <= d[15:0];
      words[wa] <= d;
      bytes[wa[1:0]] <= d[7:0];
    end
endmodule
