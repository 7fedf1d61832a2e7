// For yosys' techmap: a memory that is read at once becomes one that is read at the falling edge of the clock that it is
// written at, so that it can be made of block RAMs where lookup tables hold no memory. A word is there half a cycle after
// its address, in time for the next rising edge, and what has been written at a rising edge is read at the next falling
// one: cycle by cycle nothing changes, but addresses must come within half a cycle. nextpnr sees to that.
//
// LEAST: bits of the smallest memory that this is done to.
(* techmap_celltype = "$mem_v2" *)
module half_cycle (RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA, WR_CLK, WR_EN, WR_ADDR, WR_DATA);
  parameter MEMID = "", INIT = 1'bx;
  parameter signed SIZE = 1, OFFSET = 0, ABITS = 1, WIDTH = 1, RD_PORTS = 1, WR_PORTS = 1;
  parameter RD_CLK_ENABLE = 0, RD_CLK_POLARITY = 0, RD_TRANSPARENCY_MASK = 0, RD_COLLISION_X_MASK = 0;
  parameter RD_WIDE_CONTINUATION = 0, RD_CE_OVER_SRST = 0, RD_ARST_VALUE = 0, RD_SRST_VALUE = 0, RD_INIT_VALUE = 0;
  parameter WR_CLK_ENABLE = 0, WR_CLK_POLARITY = 0, WR_PRIORITY_MASK = 0, WR_WIDE_CONTINUATION = 0;
  input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;
  input [RD_PORTS*ABITS-1:0] RD_ADDR;
  output [RD_PORTS*WIDTH-1:0] RD_DATA;
  input [WR_PORTS-1:0] WR_CLK;
  input [WR_PORTS*WIDTH-1:0] WR_EN;
  input [WR_PORTS*ABITS-1:0] WR_ADDR;
  input [WR_PORTS*WIDTH-1:0] WR_DATA;

  wire _TECHMAP_FAIL_ = RD_CLK_ENABLE != 0 || WR_CLK_ENABLE != 1 || WR_PORTS != 1 || SIZE * WIDTH < `LEAST;

  (* ram_style = "block" *) \$mem_v2 #(
    .MEMID("\\half_cycle"), .SIZE(SIZE), .OFFSET(OFFSET), .ABITS(ABITS), .WIDTH(WIDTH), .INIT(INIT),
    .RD_PORTS(RD_PORTS), .RD_CLK_ENABLE({RD_PORTS{1'b1}}), .RD_CLK_POLARITY({RD_PORTS{~WR_CLK_POLARITY[0]}}),
    .RD_TRANSPARENCY_MASK({RD_PORTS{1'b0}}), .RD_COLLISION_X_MASK({RD_PORTS{1'b0}}),
    .RD_WIDE_CONTINUATION({RD_PORTS{1'b0}}), .RD_CE_OVER_SRST({RD_PORTS{1'b0}}),
    .RD_ARST_VALUE({RD_PORTS*WIDTH{1'bx}}), .RD_SRST_VALUE({RD_PORTS*WIDTH{1'bx}}),
    .RD_INIT_VALUE({RD_PORTS*WIDTH{1'bx}}),
    .WR_PORTS(WR_PORTS), .WR_CLK_ENABLE(WR_CLK_ENABLE), .WR_CLK_POLARITY(WR_CLK_POLARITY),
    .WR_PRIORITY_MASK(WR_PRIORITY_MASK), .WR_WIDE_CONTINUATION(WR_WIDE_CONTINUATION)
  ) _TECHMAP_REPLACE_ (
    .RD_CLK({RD_PORTS{WR_CLK}}), .RD_EN({RD_PORTS{1'b1}}), .RD_ARST({RD_PORTS{1'b0}}), .RD_SRST({RD_PORTS{1'b0}}),
    .RD_ADDR(RD_ADDR), .RD_DATA(RD_DATA), .WR_CLK(WR_CLK), .WR_EN(WR_EN), .WR_ADDR(WR_ADDR), .WR_DATA(WR_DATA)
  );
endmodule
