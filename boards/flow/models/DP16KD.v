// Block RAM of an ECP5, 18 kbit, as Lattice FPGA-TN-02204 (memory usage guide) describes it: port A writes and reads,
// port B reads, each 1, 2, 4, 9, 18 or 36 bits wide, without output registers.
//
// Content: 512 lines of four bytes of 9 bits. AD[13:5] chooses a line; AD[4:3] a byte, AD[4] a pair of them; AD[2] 4 of
// the low 8 bits of a byte, AD[2:1] 2 of them, AD[2:0] one. What an address has no use for at 18 and 36 bits are enables
// of bytes to write: AD[1:0] and AD[3:0]. A word of 36 bits is written by port A and read by port B alone: its low half
// is at DIA and DOA, its high half at DIB and DOB.
//
// A port that writes shows what it showed before (WRITEMODE NORMAL), the new word (WRITETHROUGH) or the old one
// (READBEFOREWRITE). What port B shows of a word that port A writes in the same cycle is not defined: here it is the
// complement of the old word, so that whoever uses it is found. The checker of the netlist sees to one clock for both
// ports, and to what is tied off: resets, chip selects, writing by port B.
module DP16KD (
  input
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
    DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0, CEA, OCEA, CLKA,
    WEA, RSTA, CSA2, CSA1, CSA0,
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    DIB0, ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0, CEB, OCEB, CLKB,
    WEB, RSTB, CSB2, CSB1, CSB0,
  output
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    DOA0,
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB", GSR = "ENABLED";
  parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
    INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
    INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
    INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
    INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
    INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
    INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
    INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
    INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
    INITVAL_3F = 0;

  // Of every 20 bits 18 are used
  localparam [64*320-1:0] INIT = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
    INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
    INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
    INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
    INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
    INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
    INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
    INITVAL_00
  };
  reg [35:0] lines [0:511];
  integer n;
  initial for (n = 0; n < 512; n = n + 1) lines[n] = {INIT[40*n+20 +: 18], INIT[40*n +: 18]};

  wire [13:0] ada = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  wire [13:0] adb = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
  };
  wire [35:0] di = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    DIB0,
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
  };

  localparam [35:0] ONES_A = {36{1'b1}} >> (36 - DATA_WIDTH_A), ONES_B = {36{1'b1}} >> (36 - DATA_WIDTH_B);
  wire [5:0] from_a, from_b;
  dp16kd_place #(.WIDTH(DATA_WIDTH_A)) place_a (.ad(ada[4:0]), .from(from_a));
  dp16kd_place #(.WIDTH(DATA_WIDTH_B)) place_b (.ad(adb[4:0]), .from(from_b));

  wire [35:0] enables = DATA_WIDTH_A == 36 ? {{9{ada[3]}}, {9{ada[2]}}, {9{ada[1]}}, {9{ada[0]}}} :
                        DATA_WIDTH_A == 18 ? {18'b0, {9{ada[1]}}, {9{ada[0]}}} : ONES_A;
  wire writes = CEA & WEA;
  wire [35:0] written = writes ? (enables & ONES_A) << from_a : 36'b0;
  wire [35:0] old = lines[ada[13:5]];
  wire [35:0] now = (old & ~written) | (di << from_a & written);
  wire [35:0] read = lines[adb[13:5]];
  wire collides = ada[13:5] == adb[13:5] && (written & ONES_B << from_b) != 0;

  reg [35:0] qa = 0, qb = 0;
  always @(posedge CLKA) begin
    if (writes) lines[ada[13:5]] <= now;
    if (CEA && (!WEA || WRITEMODE_A != "NORMAL"))
      qa <= (WRITEMODE_A == "WRITETHROUGH" ? now : old) >> from_a & ONES_A;
  end
  always @(posedge CLKB)
    if (CEB) qb <= (collides ? ~read : read) >> from_b & ONES_B;

  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
  } = DATA_WIDTH_B == 36 ? qb[17:0] : qa[17:0];
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
  } = DATA_WIDTH_B == 36 ? qb[35:18] : qb[17:0];
endmodule

// The lowest bit in its line of the word that an address chooses
module dp16kd_place (input [4:0] ad, output [5:0] from);
  parameter WIDTH = 18;
  wire [5:0] byte_from = ad[4:3] * 6'd9;
  assign from = WIDTH == 36 ? 6'd0 : WIDTH == 18 ? (ad[4] ? 6'd18 : 6'd0) : WIDTH == 9 ? byte_from :
                WIDTH == 4 ? byte_from + {3'b0, ad[2], 2'b0} : WIDTH == 2 ? byte_from + {3'b0, ad[2:1], 1'b0} :
                byte_from + {3'b0, ad[2:0]};
endmodule
