"""Which simulated worlds are for what: the one place where the split is written down.

All worlds that are not `TAKEN`, those below zero too, belong to the demo, to users and
to tests: no model was trained or calibrated on one of them, none was chosen by them.
"""

CALIBRATION = range(90_000, 100_000)
TRAIN = range(100_000, 200_000)
VALIDATION = range(200_000, 300_000)
TEST = range(300_000, 400_000)
TAKEN = range(CALIBRATION.start, TEST.stop)
