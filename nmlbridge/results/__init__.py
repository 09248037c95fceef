"""Results: traces, spike trains and where they came from."""
