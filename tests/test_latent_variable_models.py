"""EM for models of one's own: one class each, and one message where policies do not fit."""
