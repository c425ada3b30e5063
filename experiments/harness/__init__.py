"""What experiments share: the command line, options and their bounds, ways of playing, tables."""
