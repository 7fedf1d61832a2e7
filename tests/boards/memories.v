// Memories of every width that a block RAM has, each with 16 kbit: a write port and a read port; q_same reads where the
// write port writes.
module ram #(parameter WIDTH = 1, WORDS = 16384) (
  input clk, we, re, input [13:0] wa, ra, input [35:0] d, output reg [WIDTH-1:0] q
);
  localparam BITS = $clog2(WORDS);
  reg [WIDTH-1:0] words [0:WORDS-1];
  integer n;
  initial begin
    q = 0;
    for (n = 0; n < 64; n = n + 1) words[n] = {36{n[0]}} ^ (36'h123456789 * n);
  end
  always @(posedge clk) begin
    if (we) words[wa[BITS-1:0]] <= d[WIDTH-1:0];
    if (re) q <= words[ra[BITS-1:0]];
  end
endmodule

module shared (input clk, we, re, input [13:0] wa, ra, input [35:0] d, output reg [8:0] q, q_same);
  reg [8:0] words [0:2047];
  initial {q, q_same} = 0;
  always @(posedge clk) begin
    if (we) words[wa[10:0]] <= d[8:0];
    q_same <= words[wa[10:0]];
    if (re) q <= words[ra[10:0]];
  end
endmodule

module top (
  input clk, we, re, input [13:0] wa, ra, input [35:0] d,
  output q1, output [1:0] q2, output [3:0] q4, output [8:0] q9, q, q_same, output [17:0] q18, output [35:0] q36,
  output [35:0] product
);
  ram #(1, 16384) ram1 (clk, we, re, wa, ra, d, q1);
  ram #(2, 8192) ram2 (clk, we, re, wa, ra, d, q2);
  ram #(4, 4096) ram4 (clk, we, re, wa, ra, d, q4);
  ram #(9, 2048) ram9 (clk, we, re, wa, ra, d, q9);
  ram #(18, 1024) ram18 (clk, we, re, wa, ra, d, q18);
  ram #(36, 512) ram36 (clk, we, re, wa, ra, d, q36);
  shared both (clk, we, re, wa, ra, d, q, q_same);
  assign product = $signed(d[17:0]) * $signed(d[35:18]);
endmodule
