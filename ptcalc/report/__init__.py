"""One renderer per format over one `ptcalc.result.Estimate`; the only rooms that round a number."""
