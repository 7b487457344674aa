"""`make bench`: what links and jobs cost in time, calls to AWS, CPU and memory."""
