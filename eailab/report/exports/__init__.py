"""Handing it on: studies as files of the tools that people already use, made from a store alone."""
