"""`make bench`: what one, fifty and five hundred links cost in time, calls to AWS, CPU and memory."""
