"""Prints, and goes on for ever; with the word "deaf", SIGTERM does not end it."""

import signal
import sys
import time

if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("val_acc: 0.5", flush=True)
while True:
    time.sleep(60)
