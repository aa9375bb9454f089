"""Couriers of trials: names go out, exit codes come back, and the store tells what is left to do."""
