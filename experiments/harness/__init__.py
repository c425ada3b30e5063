"""What experiments share: the command line, options and their bounds, play, likelihoods, tables."""
