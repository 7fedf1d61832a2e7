"""The firmware's use of the registers. Register 0 is :data:`ZERO`."""

# Anybody's. A task may use all of the others but CLOCK and TASKS, as no other task runs before it is done.
R1, R2, R3, R4, R5, R6 = range(1, 7)
QUEUE, NUMBER, JOBP = 7, 8, 9  # record of the queue at hand, its number, its job
MORE, COUNT, LAST, TEMP = 10, 11, 13, 14
CLOCK = 12  # counts turns of the loop
TASKS = 15  # a bit per task that has something to do
