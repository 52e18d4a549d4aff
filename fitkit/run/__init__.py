"""What a person starts: a fit, from its config to its saved run."""
