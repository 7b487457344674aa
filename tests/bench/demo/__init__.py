"""`make demo`: the story of a link, told on the terminal, on a real API server and a local group of AWS accounts."""
