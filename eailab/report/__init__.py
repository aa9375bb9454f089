"""Report what a store has: findings become tables, figures and pages. Nothing is trained here."""
