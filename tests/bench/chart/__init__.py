"""The Helm chart, on a real API server with simulated nodes, and the built program with the chart's permissions."""
