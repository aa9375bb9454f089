"""Telling it: a store becomes findings, and findings become tables, figures and pages. Nothing is trained here."""
