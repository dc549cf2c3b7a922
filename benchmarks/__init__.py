"""Claims of speed and size, each beside a floor or limit measured in the same run."""
